// SPDX-License-Identifier: Apache-2.0

// Package install installs the driver as docs/install.md says: with a copy of deploy/kubernetes that has the one edit that every
// operator makes.
package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// Driver is what the manifests call the driver.
const (
	Namespace = "glusterfs-csi"
	Driver    = "glusterfs.csi.gluster.org"
)

// timeout bounds the way from nothing to a driver on all nodes.
const timeout = 5 * time.Minute

// ClustersFile names the cluster's servers: its nodes.
func ClustersFile(c *cluster.Cluster) string {
	var servers []string
	for _, node := range c.Nodes() {
		servers = append(servers, node.IP)
	}
	return fmt.Sprintf("clusters:\n  - name: pi\n    servers: [%s]\n    volumes: [%s]\n", strings.Join(servers, ", "), cluster.Volume)
}

// Edit copies the manifests of the repository to an empty directory, with the cluster's servers.
func Edit(c *cluster.Cluster, repository, dir string) error {
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(repository, "deploy/kubernetes"))); err != nil {
		return err
	}
	file := filepath.Join(dir, "base", "clusters.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var clusters corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &clusters); err != nil {
		return err
	}
	clusters.Data["clusters.yaml"] = ClustersFile(c)
	if text, err = yaml.Marshal(clusters); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// Apply installs the driver, with snapshots, and returns when every node's kubelet has it. Where it was installed before, its pods are
// replaced: see Renew.
func Apply(ctx context.Context, c *cluster.Cluster, repository string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "glusterfs-csi-install-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := Edit(c, repository, dir); err != nil {
		return err
	}
	was, err := IsThere(ctx, c)
	if err != nil {
		return err
	}
	if err := TurnSnapshotsOn(ctx, c, dir); err != nil {
		return err
	}
	if was {
		err = Renew(ctx, c)
	} else {
		err = kubectl(ctx, c, rollout("status", "daemonset/glusterfs-csi-node"), rollout("status", "deployment/glusterfs-csi-controller"))
	}
	if err != nil {
		return err
	}
	for _, node := range c.Nodes() {
		registered := []string{"wait", "csinode/" + node.Name, "--for=jsonpath={.spec.drivers[0].name}=" + Driver, "--timeout=" + timeout.String()}
		if err := kubectl(ctx, c, registered); err != nil {
			return err
		}
	}
	return nil
}

// TurnQuotaOn runs what docs/capacity.md says on a server, unless that was done: from then on, volumes end at their capacity.
func TurnQuotaOn(ctx context.Context, c *cluster.Cluster) error {
	option, err := c.Gluster(ctx, "volume", "get", cluster.Volume, "features.quota")
	if err != nil || strings.HasSuffix(strings.TrimSpace(option), " on") {
		return err
	}
	for _, command := range (quota.State{}).Commands(gluster.Volume{Cluster: "pi", Name: cluster.Volume}) {
		if _, err := c.Gluster(ctx, strings.Fields(command)[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// TurnSnapshotsOn installs the driver with snapshots, or adds them to one that is installed, and what a cluster needs for them, from a
// copy of the manifests that Edit made.
func TurnSnapshotsOn(ctx context.Context, c *cluster.Cluster, dir string) error {
	return kubectl(ctx, c,
		[]string{"apply", "-k", filepath.Join(dir, "snapshot-controller")},
		[]string{"wait", "crd", "volumesnapshotclasses.snapshot.storage.k8s.io", "--for=condition=Established", "--timeout=1m"},
		[]string{"apply", "-k", filepath.Join(dir, "overlays", "snapshots")},
		[]string{"rollout", "status", "-n", "kube-system", "deployment/snapshot-controller"},
		rollout("status", "deployment/glusterfs-csi-controller"))
}
