// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

var (
	daemonSets  = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	csiDrivers  = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "csidrivers"}
	csiNodes    = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "csinodes"}
)

// TestAHealthyCluster has nothing but ✔, with a volume that is used.
func TestAHealthyCluster(t *testing.T) {
	w := newHospital(t)
	w.newClaim("shop", "data", "well")
	w.isWell()
	code, out, _ := kubectl(t, "doctor")
	if code != cli.ExitDone || !strings.Contains(out, "0 !, 0 ✘. All is well.") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// TestFaultsOfTheInstallation: each is made, found and named, and where a command cures it, that is run.
func TestFaultsOfTheInstallation(t *testing.T) {
	w := newHospital(t)
	const ns = "glusterfs-csi"
	for _, fault := range []struct {
		check, about, says string
		make, undo         func()
	}{
		{"csidriver", migrate.DriverName, "no CSIDriver object", func() { w.deleteObject(csiDrivers, "", migrate.DriverName) }, nil},
		{"registration", "pi-worker1", "does not know the driver", func() {
			w.edit(csiNodes, "", "pi-worker1", func(u *unstructured.Unstructured) { _ = unstructured.SetNestedSlice(u.Object, nil, "spec", "drivers") })
		}, func() {
			w.deleteObject(csiNodes, "", "pi-worker1")
			w.make(map[string]any{
				"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": map[string]any{"name": "pi-worker1"},
				"spec": map[string]any{"drivers": []any{map[string]any{"name": migrate.DriverName, "nodeID": "pi-worker1"}}},
			}, "")
		}},
		{"node", "glusterfs-csi-node", "0 of 1 pods are ready", func() { w.setStatus(daemonSets, ns, "glusterfs-csi-node", int64(0), "numberReady") }, func() {
			w.setStatus(daemonSets, ns, "glusterfs-csi-node", int64(1), "numberReady")
		}},
		{"controller", "glusterfs-csi-controller", "claims stay Pending", func() { w.setStatus(deployments, ns, "glusterfs-csi-controller", int64(0), "readyReplicas") }, func() {
			w.setStatus(deployments, ns, "glusterfs-csi-controller", int64(1), "readyReplicas")
		}},
		{"version", "glusterfs-csi-mounter-0", "it has glusterfs-csi:v0, and the next one " + w.image(), func() {
			w.edit(pods, ns, "glusterfs-csi-mounter-0", func(u *unstructured.Unstructured) {
				containers, _, _ := unstructured.NestedSlice(u.Object, "spec", "containers")
				containers[0].(map[string]any)["image"] = "glusterfs-csi:v0"
				_ = unstructured.SetNestedSlice(u.Object, containers, "spec", "containers")
			})
		}, func() { // no kubelet would end the pod
			w.deleteObject(pods, ns, "glusterfs-csi-mounter-0")
			w.makePod("mounter", "pi-worker1")
		}},
		{"clusters-file", migrate.ClustersConfigMap, "twice", func() {
			w.edit(configMaps, ns, migrate.ClustersConfigMap, func(u *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(u.Object, strings.Replace(pool.ClustersYAML()+pool.ClustersYAML()[len("clusters:\n"):], "\n\n", "\n", 1), "data", migrate.ClustersKey)
			})
		}, func() {
			w.edit(configMaps, ns, migrate.ClustersConfigMap, func(u *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(u.Object, pool.ClustersYAML(), "data", migrate.ClustersKey)
			})
		}},
	} {
		fault.make()
		cure := w.finds(fault.check, fault.about, fault.says)
		if cure == "" {
			t.Errorf("%s has no cure", fault.check)
		}
		if fault.undo != nil {
			fault.undo() // the cure is for a person
		} else {
			w.run(cure)
			w.edit(configMaps, ns, migrate.ClustersConfigMap, func(u *unstructured.Unstructured) { // the manifests' are of another pool
				_ = unstructured.SetNestedField(u.Object, pool.ClustersYAML(), "data", migrate.ClustersKey)
			})
		}
		w.isWell()
	}
	w.setStatus(pods, ns, "glusterfs-csi-node-0", []any{map[string]any{
		"name": "driver", "ready": false, "restartCount": int64(3), "image": "glusterfs-csi", "imageID": "glusterfs-csi",
		"state": map[string]any{"waiting": map[string]any{"reason": "CrashLoopBackOff"}},
	}}, "containerStatuses")
	w.finds("pods", "glusterfs-csi-node-0", "CrashLoopBackOff")
}

// TestFaultsOfClaimsAndPods: the old pains by name.
func TestFaultsOfClaimsAndPods(t *testing.T) {
	w := newHospital(t)
	class := func(name string, parameters map[string]any) {
		w.make(map[string]any{
			"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": map[string]any{"name": name}, "provisioner": migrate.DriverName, "parameters": parameters,
		}, "")
	}
	claim := func(name, class, mode string) {
		w.make(map[string]any{
			"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": name},
			"spec": map[string]any{
				"accessModes": []any{"ReadWriteMany"}, "storageClassName": class, "volumeMode": mode,
				"resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}},
			},
		}, "shop")
	}
	pv := func(name string, spec map[string]any) {
		spec["capacity"], spec["storageClassName"] = map[string]any{"storage": "1Gi"}, "by-hand"
		w.make(map[string]any{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": map[string]any{"name": name}, "spec": spec}, "")
	}
	csi := func(handle, path string) map[string]any {
		return map[string]any{"driver": migrate.DriverName, "volumeHandle": handle, "volumeAttributes": map[string]any{"path": path}}
	}
	rwx := []any{"ReadWriteMany"}
	class("misspelt", map[string]any{"ownerId": "1001"})
	class("elsewhere", map[string]any{"volume": "gv9"})
	class("wrong-value", map[string]any{"uid": "root"})
	claim("pending", "wrong-value", "Filesystem")
	claim("classless", "no-such-class", "Filesystem")
	claim("block", "glusterfs", "Block")
	pv("stranger", map[string]any{"accessModes": rwx, "csi": csi("mars/gv0/x", "x")})
	pv("whole", map[string]any{"accessModes": rwx, "csi": csi("pi/gv0/whole", "/")})
	pv("read-only-first", map[string]any{"accessModes": []any{"ReadOnlyMany", "ReadWriteMany"}, "csi": csi("pi/gv0/ro", "ro")})
	pv("old", map[string]any{"accessModes": rwx, "glusterfs": map[string]any{"endpoints": "glusterfs-cluster", "path": "gv0"}})
	w.newClaim("shop", "data", "used")
	w.make(pod("elsewhere", "data"), "kube-verify")
	userNamespace := pod("user-namespace", "data")
	userNamespace["spec"].(map[string]any)["hostUsers"] = false
	w.make(userNamespace, "shop")
	w.make(pod("orphan", "deleted-claim"), "shop")
	for _, want := range [][3]string{
		{"storageclass", "misspelt", "parameter ownerId"},
		{"storageclass", "elsewhere", "gv9"},
		{"claim", "shop/pending", "root"},
		{"claim", "shop/classless", "there is no StorageClass no-such-class"},
		{"claim", "shop/block", "Block is not offered"},
		{"persistentvolume", "stranger", "mars"},
		{"persistentvolume", "whole", "the whole of the Gluster volume"},
		{"persistentvolume", "read-only-first", "ReadOnlyMany"},
		{"in-tree", "old", "no volume plugin matched"},
		{"pod", "kube-verify/elsewhere", `persistentvolumeclaim "data" not found in namespace kube-verify; there is one in shop`},
		{"pod", "shop/user-namespace", "hostUsers"},
		{"pod", "shop/orphan", `"deleted-claim" not found`},
	} {
		w.finds(want[0], want[1], want[2])
	}
}

// TestFaultsThatUndeleteCures runs what is printed.
func TestFaultsThatUndeleteCures(t *testing.T) {
	w := newHospital(t)
	w.newClaim("shop", "data", "kept")
	volume, _, _ := unstructured.NestedString(w.get(claims, "shop", "data").Object, "spec", "volumeName")
	w.delete("shop", "data")
	w.make(pod("user", "data"), "shop")
	w.run(w.finds("pod", "shop/user", `persistentvolumeclaim "data" not found`)[len("if it was deleted: "):])
	w.holds("shop", "data", "kept")
	w.isWell()

	w.deleteObject(pods, "shop", "user")
	w.edit(volumes, "", volume, func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, "Retain", "spec", "persistentVolumeReclaimPolicy")
	})
	w.deleteObject(volumes, "", volume) // its claim is Lost, and its volume nobody's
	w.finds("claim", "shop/data", "is gone")
	w.deleteObject(claims, "shop", "data")
	w.run(w.finds("orphans", "volume pi/gv0/"+volume, "no PersistentVolume has it"))
	w.holds("shop", "data", "kept")
	w.isWell()

	if _, err := driver.Controller.DeleteVolume(t.Context(), deleteRequest(w, volume)); err != nil {
		t.Fatal(err)
	}
	if cure := w.finds("orphans", volume, "has no volume"); !strings.Contains(cure, "kubectl glusterfs trash -A -o wide | grep "+volume) {
		t.Errorf("the cure is %q", cure)
	}
}

// TestFaultsOfTheGlusterVolume are seen through the pods of the driver.
func TestFaultsOfTheGlusterVolume(t *testing.T) {
	w := newHospital(t)
	if err := pool.SetOption("gv0", "network.ping-timeout", "90"); err != nil {
		t.Fatal(err)
	}
	w.run(w.finds("ping-timeout", "pi/gv0", "90 s"))
	if err := pool.KillBrick("gv0", 1); err != nil {
		t.Fatal(err)
	}
	w.run(w.finds("brick", pool.Servers()[1], "its process does not run"))
	w.isWell()

	w.newClaim("shop", "data", "kept")
	mount, err := driver.ClientMount("gv0")
	if err != nil {
		t.Fatal(err)
	}
	held, err := filepath.Glob(filepath.Join(mount, ".glusterfs-csi/paths/*/*"))
	if err != nil || len(held) != 1 {
		t.Fatalf("paths: %v, %v", held, err)
	}
	if err := os.Remove(held[0]); err != nil {
		t.Fatal(err)
	}
	w.run(w.finds("records", "pi/gv0/pvc-", "path-not-claimed"))
	w.isWell()
}

// TestAPodThatCannotBeAsked is itself a finding, and hides nothing else.
func TestAPodThatCannotBeAsked(t *testing.T) {
	newHospital(t)
	var stdout strings.Builder
	env := cli.Environment{Version: "test", Out: &stdout, Err: os.Stderr, Run: func(ctx context.Context, in inside.Pod, command []string) ([]byte, error) {
		if in.Component == inside.Node {
			return nil, errors.New("error dialing backend: no route to host")
		}
		return runHere(ctx, in, command)
	}}
	code := cli.Run(t.Context(), env, []string{"doctor", "--kubeconfig", server.Kubeconfig})
	if code != cli.ExitLeft || !strings.Contains(unwrapped(stdout.String()), "it cannot be asked") || !strings.Contains(unwrapped(stdout.String()), "glusterd answers") {
		t.Errorf("exit %d\n%s", code, &stdout)
	}
}

// unwrapped is a text without its line breaks.
func unwrapped(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestWithoutTheDriver is before the installation.
func TestWithoutTheDriver(t *testing.T) {
	w := &world{T: t}
	t.Cleanup(w.remove)
	for _, m := range []made{{configMaps, "glusterfs-csi", migrate.ClustersConfigMap}, {csiDrivers, "", migrate.DriverName}} {
		if err := client.Resource(m.resource).Namespace(m.namespace).Delete(t.Context(), m.name, metav1.DeleteOptions{}); err == nil {
			t.Logf("removed %v", m)
		}
	}
	code, out, _ := kubectl(t, "doctor")
	if code != cli.ExitUnwell || !strings.Contains(unwrapped(out), "the driver is not installed") || !strings.Contains(unwrapped(out), "install the driver: docs/install.md") {
		t.Errorf("exit %d\n%s", code, out)
	}
}
