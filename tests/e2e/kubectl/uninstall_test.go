// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestTheUninstallCheckRefusesAndLetsGo: while a claim is bound, a volume waits to be deleted or a VolumeSnapshotContent
// is there, which it names, and no longer; by the rights that the chart's hook has with snapshots and without.
func TestTheUninstallCheckRefusesAndLetsGo(t *testing.T) {
	w := newShop(t)
	w.make(map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": "glusterfs-csi-controller"}}, "glusterfs-csi")
	w.makeFile(repository + "/deploy/kubernetes/base/rbac.yaml")
	account := w.account()
	check := func(args ...string) (string, error) {
		host, port, _ := strings.Cut(strings.TrimPrefix(server.Config.Host, "https://"), ":")
		process := exec.CommandContext(t.Context(), os.Getenv(binaryVariable), append([]string{"uninstall-check", "--service-account=" + account}, args...)...)
		process.Env = append(os.Environ(), "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port)
		output, err := process.CombinedOutput()
		return string(output), err
	}
	refuses := func(name string, args ...string) {
		t.Helper()
		var output string
		var err error
		w.await("it may look", func() error { // the rights may take a moment
			if output, err = check(args...); strings.Contains(output, "is forbidden") {
				return fmt.Errorf("%w: %s", err, output)
			}
			return nil
		})
		if err == nil || !strings.Contains(output, name) || !strings.Contains(output, "helm rollback with the revision that says uninstalling") {
			t.Errorf("of %s it says: %v: %s", name, err, output)
		}
	}
	letsGo := func(args ...string) {
		t.Helper()
		if output, err := check(args...); err != nil {
			t.Errorf("%v: %s", err, output)
		}
	}
	w.newClaim("shop", "data", "kept")
	refuses("claim shop/data")
	w.delete("shop", "data")
	letsGo()

	w.make(map[string]any{ // nobody is there to delete it, as when its servers are away
		"apiVersion": "v1", "kind": "PersistentVolume", "metadata": map[string]any{"name": "waits", "finalizers": []any{"test.example/kept"}},
		"spec": map[string]any{
			"capacity": map[string]any{"storage": "1Gi"}, "accessModes": []any{"ReadWriteMany"}, "persistentVolumeReclaimPolicy": "Delete",
			"csi": map[string]any{"driver": "glusterfs.csi.gluster.org", "volumeHandle": "pi/gv0/waits"}, "storageClassName": "glusterfs",
			"claimRef": map[string]any{"namespace": "shop", "name": "gone"},
		},
	}, "")
	w.edit(volumes, "", "waits", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, "4711", "spec", "claimRef", "uid")
	})
	w.await("it waits to be deleted", func() error {
		if phase, _, _ := unstructured.NestedString(w.get(volumes, "", "waits").Object, "status", "phase"); phase != "Released" && phase != "Failed" {
			return errors.New("it is " + phase)
		}
		return nil
	})
	refuses("PersistentVolume waits")
	if err := purge(t.Context(), made{volumes, "", "waits"}); err != nil {
		t.Fatal(err)
	}
	letsGo()

	w.makeFile(repository + "/deploy/kubernetes/components/snapshots/snapshots.yaml")
	w.await("the cluster has no snapshots, and that is none", func() error {
		output, err := check("--snapshots")
		if err != nil {
			err = fmt.Errorf("%w: %s", err, output)
		}
		return err
	})
	w.hasSnapshots()
	w.make(map[string]any{
		"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent", "metadata": map[string]any{"name": "content"},
		"spec": map[string]any{
			"driver": "glusterfs.csi.gluster.org", "deletionPolicy": "Delete", "source": map[string]any{"snapshotHandle": "pi/gv0/noon"},
			"volumeSnapshotRef": map[string]any{"namespace": "shop", "name": "noon"},
		},
	}, "")
	refuses("VolumeSnapshotContent content (shop/noon)", "--snapshots")
	letsGo()
	if err := purge(t.Context(), made{contents, "", "content"}); err != nil {
		t.Fatal(err)
	}
	letsGo("--snapshots")
}
