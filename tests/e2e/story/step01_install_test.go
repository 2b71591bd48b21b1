// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/install"
)

// installation is docs/install.md: one edit, one command. On a cluster that was kept, the driver may be there, of an older image.
func installation(s *step) {
	edited := s.edit()
	was := s.isInstalled()
	began := time.Now()
	s.Log(s.kubectl("apply", "-k", filepath.Join(edited, "base")))
	if was {
		s.renew()
	}
	s.rolledOut(driverNamespace, "daemonset/glusterfs-csi-node")
	s.rolledOut(driverNamespace, "deployment/glusterfs-csi-controller")
	s.isRegistered()
	s.Logf("a driver on %d nodes, where there was one before: %t: %s", len(s.Nodes()), was, seconds(time.Since(began)))
	s.isEverywhere()
	s.hasNoServices()
	s.Log(s.kubectl("get", "csinodes", "-o", "custom-columns=NODE:.metadata.name,DRIVERS:.spec.drivers[*].name"))

	s.part("dry_run", func(s *step) {
		for _, dir := range []string{"base", "overlays/arm64", "snapshot-controller"} { // overlays/snapshots is for after the last: step 14
			s.kubectl("apply", "--dry-run=server", "-k", filepath.Join(edited, dir))
		}
		for _, file := range s.glob(filepath.Join(examples, "*.yaml")) {
			if name := filepath.Base(file); name != "kube-verify.yaml" && name != "snapshot.yaml" { // steps 02, 03 and 14 apply these
				s.kubectl("apply", "--dry-run=server", "-f", file)
			}
		}
	})
}

func (s *step) isInstalled() bool {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	is, err := install.IsThere(ctx, s.Cluster)
	if err != nil {
		s.Fatal(err)
	}
	return is
}

// renew replaces the driver's pods, so that they run the image that was imported last.
func (s *step) renew() {
	s.Helper()
	ctx, cancel := s.context(2 * patience)
	defer cancel()
	if err := install.Renew(ctx, s.Cluster); err != nil {
		s.Fatal(err)
	}
}

// edit returns a copy of deploy/kubernetes with the one edit that every operator makes.
func (s *step) edit() string {
	s.Helper()
	dir := s.TempDir()
	if err := install.Edit(s.Cluster, repository, dir); err != nil {
		s.Fatal(err)
	}
	return dir
}

// clustersFile names this cluster's servers: its nodes.
func (s *step) clustersFile() string { return install.ClustersFile(s.Cluster) }

func (s *step) glob(pattern string) []string {
	s.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		s.Fatalf("%s: nothing found: %v", pattern, err)
	}
	return found
}

// isEverywhere fails unless each DaemonSet runs on each node.
func (s *step) isEverywhere() {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	sets, err := s.api.AppsV1().DaemonSets(driverNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		s.Fatal(err)
	}
	if !slices.ContainsFunc(sets.Items, func(d appsv1.DaemonSet) bool { return d.Name == "glusterfs-csi-node" }) {
		s.Fatal("there is no DaemonSet glusterfs-csi-node")
	}
	for _, d := range sets.Items {
		s.await(patience, "DaemonSet "+d.Name+" is ready on each node", func(ctx context.Context) error {
			d, err := s.api.AppsV1().DaemonSets(driverNamespace).Get(ctx, d.Name, metav1.GetOptions{})
			if err == nil && (d.Status.NumberReady != int32(len(s.Nodes())) || d.Status.ObservedGeneration != d.Generation) {
				err = fmt.Errorf("it is on %d", d.Status.NumberReady)
			}
			return err
		})
	}
}

// isRegistered waits until each node's kubelet has the driver.
func (s *step) isRegistered() {
	s.Helper()
	for _, node := range s.Nodes() {
		s.await(patience, "the driver is in CSINode "+node.Name, func(ctx context.Context) error {
			drivers, err := s.driversOf(ctx, node.Name)
			if err == nil && drivers[driverName] != node.Name {
				err = fmt.Errorf("it has, by node ID, %v", drivers)
			}
			return err
		})
	}
}

// driversOf returns the node ID of each CSI driver of a node.
func (s *step) driversOf(ctx context.Context, node string) (map[string]string, error) {
	csiNode, err := s.api.StorageV1().CSINodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	drivers := map[string]string{}
	for _, d := range csiNode.Spec.Drivers {
		drivers[d.Name] = d.NodeID
	}
	return drivers, nil
}

// hasNoServices fails unless the API server's own Service is the only one in the cluster, with its endpoints.
func (s *step) hasNoServices() {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	for _, resource := range []string{"services", "endpoints"} {
		var list metav1.PartialObjectMetadataList
		text, err := s.api.CoreV1().RESTClient().Get().Resource(resource).SetHeader("Accept", "application/json").Do(ctx).Raw()
		if err == nil {
			err = yaml.Unmarshal(text, &list)
		}
		if err != nil {
			s.Fatal(err)
		}
		if len(list.Items) != 1 || list.Items[0].Namespace+"/"+list.Items[0].Name != "default/kubernetes" {
			s.Errorf("%s: want default/kubernetes alone, have %v", resource, list.Items)
		}
	}
}
