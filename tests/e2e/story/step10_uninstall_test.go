// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// uninstall removes the driver, which leaves the data and nothing on the nodes, and does all of it again with Helm.
// At the end it is installed as it was.
func uninstall(s *step) {
	base := filepath.Join(s.edit(), "base")
	var volumes []*corev1.PersistentVolume
	defer func() {
		s.kubectl("apply", "-k", base)
		s.isUp()
		s.giveUp(volumes)
	}()
	s.part("kustomize", func(s *step) {
		kept := s.use()
		volumes = append(volumes, kept)
		s.kubectl("delete", "-k", base)
		s.isGone()
		s.isKept(kept)
	})
	s.part("helm", func(s *step) {
		h := s.helmRelease()
		h.run("install", "--wait", "--timeout", patience.String())
		s.isUp()
		n := s.namespace("story-10-helm")
		w := n.startWriters()
		h.run("test", "--timeout", patience.String())

		before := w.state()
		h.run("upgrade", "--wait=legacy", "--timeout", patience.String(), "--set", "logLevel=4")
		s.isUp()
		w.areUndisturbed(before)
		n.probe()
		h.run("rollback", "1", "--wait=legacy", "--timeout", patience.String())
		s.isUp()
		w.areUndisturbed(before)
		n.probe()
		n.remove()
		s.part("two_controllers", func(s *step) { twoControllers(h.in(s)) })

		n = s.namespace("story-10-bound")
		n.apply("10-kept.yaml")
		n.rolledOut(n.name, "deployment/users")
		h.refused(n.name+"/kept", "uninstall", "--wait", "--timeout", patience.String())
		s.isUp()
		n.remove()
		kept := s.use()
		volumes = append(volumes, kept)
		h.run("uninstall", "--wait", "--timeout", patience.String())
		s.keepsWhatPodsNeed()
		s.kubectl("delete", "csidriver/"+driverName, "namespace/"+driverNamespace) // as docs/install.md says
		s.isGone()
		s.isKept(kept)
		s.kubectl("delete", "volumesnapshotclass", "glusterfs") // what docs/install.md says that stays
		s.kubectl("delete", "crd", "volumesnapshotclasses.snapshot.storage.k8s.io", "volumesnapshotcontents.snapshot.storage.k8s.io",
			"volumesnapshots.snapshot.storage.k8s.io")
	})
}

// use has pods on both nodes write data that is to be kept, and removes pods and claim. It returns the volume.
func (s *step) use() *corev1.PersistentVolume {
	s.Helper()
	n := s.namespace("story-10")
	n.apply("10-kept.yaml")
	n.rolledOut(n.name, "deployment/users")
	volume := n.volume("kept")
	n.await(patience, "the data is written", func(context.Context) error {
		_, err := n.try(n.pods("users")[0].Name, "grep kept /data/file")
		return err
	})
	n.remove()
	return volume
}

// giveUp deletes volumes that were kept.
func (s *step) giveUp(volumes []*corev1.PersistentVolume) {
	s.Helper()
	for _, v := range volumes {
		s.kubectl("patch", "persistentvolume", v.Name, "-p", `{"spec": {"persistentVolumeReclaimPolicy": "Delete"}}`)
		(&namespace{step: s}).gone("volume", v.Name)
	}
}

// keepsWhatPodsNeed fails unless the mounter and what it needs are there without the release.
func (s *step) keepsWhatPodsNeed() {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	sets, err := s.api.AppsV1().DaemonSets(driverNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		s.Fatal(err)
	}
	if len(sets.Items) != 1 || sets.Items[0].Name != "glusterfs-csi-mounter" || int(sets.Items[0].Status.NumberReady) != len(s.Nodes()) {
		s.Errorf("of DaemonSets there are %+v", sets.Items)
	}
	_, missing := s.api.StorageV1().CSIDrivers().Get(ctx, driverName, metav1.GetOptions{})
	_, clusters := s.api.CoreV1().ConfigMaps(driverNamespace).Get(ctx, "glusterfs-csi-clusters", metav1.GetOptions{})
	if err := errors.Join(missing, clusters); err != nil {
		s.Error(err)
	}
}

// isUp fails unless the driver is installed and registered.
func (s *step) isUp() {
	s.Helper()
	s.rolledOut(driverNamespace, "daemonset/glusterfs-csi-node")
	s.rolledOut(driverNamespace, "deployment/glusterfs-csi-controller")
	s.isEverywhere()
	s.isRegistered()
	s.hasNoServices()
}

// isGone waits until nothing of the driver is left, in the API and on the nodes.
func (s *step) isGone() {
	s.Helper()
	s.await(patience, "the driver is gone from the API", func(ctx context.Context) error {
		_, err := s.api.CoreV1().Namespaces().Get(ctx, driverNamespace, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("namespace %s is there: %w", driverNamespace, err)
		}
		_, err = s.api.StorageV1().CSIDrivers().Get(ctx, driverName, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("CSIDriver %s is there: %w", driverName, err)
		}
		return nil
	})
	for _, node := range s.Nodes() {
		s.await(patience, "the driver is gone from "+node.Name, func(ctx context.Context) error {
			drivers, err := s.driversOf(ctx, node.Name)
			if _, has := drivers[driverName]; has {
				err = fmt.Errorf("CSINode has %v", drivers)
			}
			return errors.Join(err, s.isClean(node))
		})
	}
}

// isClean says what a node still has of the driver: mounts, clients with their control groups and programs, sockets.
func (s *step) isClean(node *cluster.Node) error {
	if points := s.mounts(node); len(points) > 0 {
		return fmt.Errorf("mounted: %v", points)
	}
	for line := range strings.Lines(s.must(node, "ps", "-eo", "pid,args")) {
		if strings.Contains(line, "--process-name fuse") {
			return fmt.Errorf("a client runs: %s", line)
		}
	}
	// Directories stay: that of the socket, and those that kubelet makes for each driver and, now and then, for a volume.
	if left := s.must(node, "find", "/var/lib/kubelet/plugins", "/var/lib/kubelet/plugins_registry", "-path", "*gluster*", "-not", "-type", "d"); left != "" {
		return fmt.Errorf("left: %s", left)
	}
	if left := s.must(node, "find", "/sys/fs/cgroup", "-path", "*/"+node.Name+"/glusterfs-csi"); left != "" {
		return fmt.Errorf("control groups of clients are left: %s", left)
	}
	if left := s.must(node, "find", "/var/lib/glusterfs-csi", "-path", "*/programs/*", "-prune"); left != "" {
		return fmt.Errorf("programs of clients are left: %s", left)
	}
	return nil
}

// isKept fails unless the data that pods wrote is on gv0.
func (s *step) isKept(volume *corev1.PersistentVolume) {
	s.Helper()
	if have := s.gv0().run("cat " + path(volume) + "/file"); have != "kept" {
		s.Errorf("%s on %s holds %q", path(volume), cluster.Volume, have)
	}
}
