// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"errors"
	"os"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// TestOddObjects applies and rolls back the planner's cases whose objects an API server takes: what the plan says is
// what is there then, and what is there in the end is what was there before.
func TestOddObjects(t *testing.T) {
	for _, name := range []string{
		"subdirectory-and-hostnames", "heketi-old", "json", "recycled", "uneven-subsets", "selector-and-null-class", "failed", "inline-subpath",
		"mount-options", "statefulset-heketi", "helm", "pool", "same-name-other-servers", "openshift-template", "clusters-file",
	} {
		t.Run(name, func(t *testing.T) { applyAndRollBack(t, name) })
	}
}

func applyAndRollBack(t *testing.T, name string) {
	w := newWorld(t)
	w.makeCase(name)
	for _, p := range w.list(pods) {
		if err := purge(t.Context(), made{pods, p.GetNamespace(), p.GetName()}); err != nil {
			t.Fatal(err)
		}
	}
	for _, pv := range w.list(volumes) { // a volume that has another's finalizer is refused: see TestAForeignFinalizerHoldsItsVolumeAlone
		w.edit(volumes, "", pv.GetName(), func(u *unstructured.Unstructured) {
			u.SetFinalizers(slices.DeleteFunc(u.GetFinalizers(), func(f string) bool { return !migrate.OwnFinalizer(f) }))
		})
	}
	w.settled()
	before := w.snapshot()
	servers := "--servers=app/gluster-dynamic-db=10.1.0.1,10.1.0.2"
	_, out, _ := kubectl(t, "migrate", "-o", "yaml", servers)
	var plan migrate.Plan
	if err := yaml.Unmarshal([]byte(out), &plan); err != nil {
		t.Fatal(err)
	}
	succeeds(t, []int{cli.ExitDone, cli.ExitLeft}, "migrate", "--apply", "--wait", servers)
	for _, v := range plan.Volumes {
		if v.Action == migrate.Replace {
			w.isMigrated(v.Name, v.Cluster+"/"+v.Volume+"/"+v.Name, v.Path)
		} else if after := w.snapshot(); after["PersistentVolume /"+v.Name] != before["PersistentVolume /"+v.Name] {
			t.Errorf("%s, which is %s, has been changed", v.Name, v.Action)
		}
	}
	succeeds(t, []int{cli.ExitDone}, "migrate", "--rollback", "--wait")
	w.settled()
	w.same("rolled back", before, w.snapshot())
}

// settled waits until the binder has done: claims that ask for a volume by name are bound, and heketi's volumes have
// its finalizer.
func (w *world) settled() {
	w.Helper()
	for _, c := range w.list(claims) {
		name, _, _ := unstructured.NestedString(c.Object, "spec", "volumeName")
		if _, err := client.Resource(volumes).Get(w.Context(), name, metav1.GetOptions{}); name != "" && err == nil {
			w.phase(claims, c.GetNamespace(), c.GetName(), "Bound")
		}
	}
	for _, pv := range w.list(volumes) {
		policy, _, _ := unstructured.NestedString(pv.Object, "spec", "persistentVolumeReclaimPolicy")
		if pv.GetAnnotations()["pv.kubernetes.io/provisioned-by"] != migrate.InTree || policy != "Delete" {
			continue
		}
		w.await("the binder has put its finalizer on "+pv.GetName(), func() error {
			if !slices.Contains(w.get(volumes, "", pv.GetName()).GetFinalizers(), "kubernetes.io/pv-controller") {
				return errors.New("it has not")
			}
			return nil
		})
	}
}

func TestFilesAndAClusterGiveTheSameVolumes(t *testing.T) {
	w := newWorld(t)
	const dir = cases + "/subdirectory-and-hostnames/objects"
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	w.makeCase("subdirectory-and-hostnames")
	w.phase(claims, "app", "app-db-pvc", "Bound")
	var live, files migrate.Plan
	for plan, args := range map[*migrate.Plan][]string{&live: {"migrate", "-o", "json"}, &files: {"migrate", "-o", "json", "--from-dir", dir}} {
		_, out, _ := kubectl(t, args...)
		if err := yaml.Unmarshal([]byte(out), plan); err != nil {
			t.Fatal(err)
		}
	}
	a, b := live.Volumes[0], files.Volumes[0]
	if a.Place != b.Place || *a.Claim != *b.Claim || a.Endpoints != b.Endpoints || a.Action != b.Action {
		t.Errorf("of the cluster %+v, of the files %+v", a, b)
	}
}
