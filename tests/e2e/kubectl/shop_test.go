// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// newShop has the driver and its class, and an empty trash.
func newShop(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.makeFile(repository + "/deploy/kubernetes/base/storageclass.yaml")
	w.makeController()
	for {
		page, err := driver.Controller.ListVolumes(t.Context(), &csi.ListVolumesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.GetEntries() { // of tests whose objects were removed by force, and whose bricks were down until a moment ago
			w.await("a volume is deleted that a test has left", func() error { return driver.Delete(t.Context(), e.GetVolume()) })
		}
		if page.GetNextToken() == "" {
			break
		}
	}
	if output, err := driver.Command(t.Context(), "trash", "purge", "--all", "--yes").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return w
}

// newClaim makes a claim, has it bound, and writes into its volume.
func (w *world) newClaim(namespace, name, content string) {
	w.Helper()
	w.makeClaim(namespace, name, "glusterfs")
	w.phase(claims, namespace, name, "Bound")
	if err := os.WriteFile(w.file(namespace, name), []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) makeClaim(namespace, name, class string) {
	w.Helper()
	w.make(map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": name, "labels": map[string]any{"app": name}},
		"spec": map[string]any{
			"accessModes": []any{"ReadWriteMany", "ReadWriteOnce"}, "storageClassName": class,
			"resources": map[string]any{"requests": map[string]any{"storage": "1536Mi"}},
		},
	}, namespace)
}

// file is one in the volume of a claim.
func (w *world) file(namespace, name string) string {
	w.Helper()
	volume, _, _ := unstructured.NestedString(w.get(claims, namespace, name).Object, "spec", "volumeName")
	path, _, _ := unstructured.NestedString(w.get(volumes, "", volume).Object, "spec", "csi", "volumeAttributes", "path")
	mount, err := driver.ClientMount("gv0")
	if err != nil {
		w.Fatal(err)
	}
	return filepath.Join(mount, path, "file")
}

func (w *world) holds(namespace, name, content string) {
	w.Helper()
	w.phase(claims, namespace, name, "Bound")
	if have, err := os.ReadFile(w.file(namespace, name)); err != nil || string(have) != content {
		w.Errorf("%s/%s holds %q, not %q: %v", namespace, name, have, content, err)
	}
}

// delete deletes a claim, and waits until its volume is gone or released.
func (w *world) delete(namespace, name string) {
	w.Helper()
	volume, _, _ := unstructured.NestedString(w.get(claims, namespace, name).Object, "spec", "volumeName")
	if err := client.Resource(claims).Namespace(namespace).Delete(w.Context(), name, metav1.DeleteOptions{}); err != nil {
		w.Fatal(err)
	}
	w.await("the claim is gone, and its volume", func() error {
		if _, err := client.Resource(claims).Namespace(namespace).Get(w.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the claim is there (%w)", err)
		}
		pv, err := client.Resource(volumes).Get(w.Context(), volume, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		phase, _, _ := unstructured.NestedString(pv.Object, "status", "phase")
		policy, _, _ := unstructured.NestedString(pv.Object, "spec", "persistentVolumeReclaimPolicy")
		if err == nil && (phase != "Released" || policy != "Retain") {
			err = errors.New("the volume is " + phase)
		}
		return err
	})
}

// objects are the claim and its volume as somebody asked for them, without what tells this volume from another.
func (w *world) objects(namespace, name string) string {
	w.Helper()
	c := w.get(claims, namespace, name)
	volume, _, _ := unstructured.NestedString(c.Object, "spec", "volumeName")
	pv := w.get(volumes, "", volume)
	unstructured.RemoveNestedField(pv.Object, "spec", "claimRef", "uid")
	unstructured.RemoveNestedField(pv.Object, "spec", "claimRef", "resourceVersion")
	unstructured.RemoveNestedField(pv.Object, "spec", "csi", "volumeAttributes", "storage.kubernetes.io/csiProvisionerIdentity")
	text, err := json.MarshalIndent([]any{pv.GetName(), pv.Object["spec"], c.Object["spec"]}, "", " ")
	if err != nil {
		w.Fatal(err)
	}
	return string(text)
}

// entries are what is in the trash, the newest first.
func entries(t *testing.T) []answers.TrashEntry {
	t.Helper()
	_, out, _ := kubectl(t, "trash", "-A", "-o", "json")
	var list struct {
		Kind  string               `json:"kind"`
		Items []answers.TrashEntry `json:"items"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || list.Kind != "TrashList" {
		t.Fatalf("%v: %s", err, out)
	}
	return list.Items
}
