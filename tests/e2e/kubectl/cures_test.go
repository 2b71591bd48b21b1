// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
)

var storageClasses = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}

// shell runs a printed command as a person would, in a shell and a directory of its own, with an editor that does what
// is said.
func (w *world) shell(command, editor string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	dir := w.TempDir()
	if err := os.Symlink(build.Path("kubectl"), filepath.Join(dir, "kubectl")); err != nil {
		w.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "KUBECONFIG="+server.Kubeconfig, "KUBE_EDITOR="+editor)
	output, err := cmd.CombinedOutput()
	w.Logf("$ %s\n%s", command, output)
	if err != nil {
		w.Fatalf("%s: %v", command, err)
	}
}

func (w *world) setClustersFile(content string) {
	w.Helper()
	w.edit(configMaps, "glusterfs-csi", migrate.ClustersConfigMap, func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, content, "data", migrate.ClustersKey)
	})
}

// TestFaultsThatAnEditCures: the editor that the printed command opens mends what the finding names.
func TestFaultsThatAnEditCures(t *testing.T) {
	w := newHospital(t)
	good := pool.ClustersYAML()
	t.Run("a key that does not exist", func(*testing.T) {
		w.setClustersFile(strings.Replace(good, "servers:", "server:", 1))
		w.shell(w.finds("clusters-file", migrate.ClustersConfigMap, "unknown field"), "sed -i s/server:/servers:/")
		w.isWell()
	})
	t.Run("a cluster that is missing", func(*testing.T) {
		w.setClustersFile(strings.Replace(good, "name: pi", "name: berry", 1))
		w.newStaticVolume("pi/gv0/static")
		w.shell(w.finds("persistentvolume", "static", `"pi"`), "sed -i s/berry/pi/")
		w.isWell()
	})
}

// newStaticVolume makes a PersistentVolume by hand.
func (w *world) newStaticVolume(handle string) {
	w.Helper()
	w.make(map[string]any{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": map[string]any{"name": "static"}, "spec": map[string]any{
		"capacity": map[string]any{"storage": "1Gi"}, "accessModes": []any{"ReadWriteMany"}, "storageClassName": "by-hand",
		"csi": map[string]any{"driver": migrate.DriverName, "volumeHandle": handle, "volumeAttributes": map[string]any{"path": "static"}},
	}}, "")
}

// TestFaultsOfClassesThatAreCured: a class is written to a file, corrected there, and replaced, as is printed.
func TestFaultsOfClassesThatAreCured(t *testing.T) {
	w := newHospital(t)
	for _, fault := range []struct{ parameter, value, says, editor string }{
		{"ownerId", "1001", "parameter ownerId", "s/ownerId:/uid:/"},
		{"volume", "gv9", "gv9", "s/gv9/gv0/"},
	} {
		w.make(map[string]any{
			"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": map[string]any{"name": "wrong"}, "provisioner": migrate.DriverName,
			"parameters": map[string]any{fault.parameter: fault.value},
		}, "")
		steps := strings.Split(w.finds("storageclass", "wrong", fault.says), "; ")
		if len(steps) != 3 || steps[1] != "correct it there" {
			t.Fatalf("the cure is %q", steps)
		}
		replace, _, _ := strings.Cut(steps[2], " (")
		w.shell(steps[0]+"; sed -i "+fault.editor+" wrong.yaml; "+replace, "")
		w.isWell()
		w.deleteObject(storageClasses, "", "wrong")
	}
	w.deleteObject(storageClasses, "", "glusterfs")
	w.run(w.finds("storageclass", migrate.DriverName, "no StorageClass is of the driver"))
	w.isWell()
}

// TestPartsThatAreMissingAreInstalledAgain, each by the printed command. Nobody here runs the pods, so their number is
// said.
func TestPartsThatAreMissingAreInstalledAgain(t *testing.T) {
	w := newHospital(t)
	for component, resource := range map[string]schema.GroupVersionResource{"controller": deployments, "node": daemonSets, "mounter": daemonSets} {
		w.deleteObject(resource, "glusterfs-csi", "glusterfs-csi-"+component)
		w.run(w.finds(component, component, "it is not there"))
		w.setClustersFile(pool.ClustersYAML()) // the manifests' are of another pool
		w.areReady()
		w.isWell()
	}
}

// TestFaultsOfClaimsThatAreCured by what is printed, all of it.
func TestFaultsOfClaimsThatAreCured(t *testing.T) {
	w := newHospital(t)
	w.newClaim("shop", "data", "kept")
	volume, _, _ := unstructured.NestedString(w.get(claims, "shop", "data").Object, "spec", "volumeName")
	w.edit(volumes, "", volume, func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, "Retain", "spec", "persistentVolumeReclaimPolicy")
	})
	w.deleteObject(volumes, "", volume)
	w.run(w.finds("claim", "shop/data", "is gone"))
	w.holds("shop", "data", "kept")
	w.isWell()

	w.make(map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": "block"},
		"spec": map[string]any{
			"accessModes": []any{"ReadWriteMany"}, "storageClassName": "glusterfs", "volumeMode": "Block",
			"resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}},
		},
	}, "shop")
	remove, again, _ := strings.Cut(w.finds("claim", "shop/block", "Block is not offered"), ", and ")
	if again != "make it anew" {
		t.Errorf("the cure ends with %q", again)
	}
	w.run(remove)
	w.newClaim("shop", "block", "made anew")
	w.isWell()
}
