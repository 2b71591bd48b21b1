// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// changes bounds how many there are between the beginning and the end of a migration.
const changes = 60

// twoAndInline is a heketi volume that would be deleted with its claim, a second volume, and a Deployment with an
// inline volume.
func twoAndInline(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.makeFile("testdata/killed.yaml")
	w.phase(claims, "shop", "data", "Bound")
	w.phase(claims, "shop", "cache", "Bound")
	return w
}

func (w *world) areMigrated() {
	w.Helper()
	w.isMigrated("pvc-1", "servers/vol_1/pvc-1", "/")
	w.isMigrated("cache", "servers/gv0/cache", "a/b")
	w.isMigrated("shop-web-html", "servers/gv0/shop-web-html", "html")
	for _, claim := range []string{"data", "cache", "web-html"} {
		w.phase(claims, "shop", claim, "Bound")
	}
	w.hasClusters("other", "servers", "servers")
}

// TestKilledBetweenAnyTwoChanges kills the process before each change that it makes, and repeats: --apply, and
// --rollback.
func TestKilledBetweenAnyTwoChanges(t *testing.T) {
	w := twoAndInline(t)
	before := w.snapshot()
	uid := w.get(claims, "shop", "data").GetUID()
	applied, restored := 0, 0
	for n := 1; n < changes; n++ {
		if !killed(t, n, "migrate", "--apply") {
			break
		}
		applied = n
		succeeds(t, []int{cli.ExitLeft}, "migrate", "--apply", "--wait") // the pod template is still to be changed
		w.areMigrated()
		after := w.snapshot()
		succeeds(t, []int{cli.ExitLeft}, "migrate", "--apply", "--wait")
		w.same("applied again", after, w.snapshot())
		succeeds(t, []int{cli.ExitDone}, "migrate", "--rollback", "--wait")
		w.isAsBefore(before, n)
	}
	for n := 1; n < changes; n++ {
		succeeds(t, []int{cli.ExitLeft}, "migrate", "--apply", "--wait")
		if !killed(t, n, "migrate", "--rollback") {
			break
		}
		restored = n
		succeeds(t, []int{cli.ExitDone}, "migrate", "--rollback", "--wait")
		w.isAsBefore(before, n)
	}
	if w.get(claims, "shop", "data").GetUID() != uid {
		t.Error("the claim is another object")
	}
	// Of two volumes, seven each: record, policy (of one), state, delete, release, create, done. Of the inline one
	// four, of the clusters file three.
	if applied < 19 || restored < 15 {
		t.Errorf("killed before %d changes of --apply and %d of --rollback only", applied, restored)
	}
	t.Logf("killed before each of %d changes of --apply and %d of --rollback", applied, restored)
}

// TestRolledBackFromAnyPoint rolls back what was interrupted anywhere.
func TestRolledBackFromAnyPoint(t *testing.T) {
	w := twoAndInline(t)
	before := w.snapshot()
	for n := 1; n < changes; n++ {
		if !killed(t, n, "migrate", "--apply") {
			return
		}
		succeeds(t, []int{cli.ExitDone}, "migrate", "--rollback", "--wait")
		w.isAsBefore(before, n)
	}
	t.Errorf("not done after %d changes", changes)
}

func (w *world) isAsBefore(before map[string]string, n int) {
	w.Helper()
	for _, claim := range []string{"data", "cache"} {
		w.phase(claims, "shop", claim, "Bound")
	}
	w.same("rolled back", before, w.snapshot())
	if left := w.records(); left > 0 {
		w.Errorf("%d records are left", left)
	}
	if w.Failed() {
		w.Fatalf("killed before change %d", n)
	}
}

func TestAForeignFinalizerHoldsItsVolumeAlone(t *testing.T) {
	w := twoAndInline(t)
	w.edit(volumes, "", "pvc-1", func(u *unstructured.Unstructured) { u.SetFinalizers(append(u.GetFinalizers(), "example.com/backup")) })
	before := w.snapshot()
	code, _, progress := kubectl(t, "migrate", "--apply", "--wait")
	if code != cli.ExitLeft || !strings.Contains(progress, "PersistentVolume pvc-1 has the finalizer example.com/backup") {
		t.Errorf("exit %d, %s", code, progress)
	}
	w.isMigrated("cache", "servers/gv0/cache", "a/b")
	if after := w.snapshot(); after["PersistentVolume /pvc-1"] != before["PersistentVolume /pvc-1"] {
		t.Errorf("pvc-1 is now %s", after["PersistentVolume /pvc-1"])
	}
	w.edit(volumes, "", "pvc-1", func(u *unstructured.Unstructured) { u.SetFinalizers([]string{"kubernetes.io/pv-protection"}) })
	succeeds(t, []int{cli.ExitLeft}, "migrate", "--apply", "--wait")
	w.areMigrated()
}

// TestNothingIsMadeInAPlaceThatSomebodyEmptied: the old volume was recorded, and deleted by somebody else before the
// migration did.
func TestNothingIsMadeInAPlaceThatSomebodyEmptied(t *testing.T) {
	w := twoAndInline(t)
	before := w.snapshot()
	// Before it: three changes for the clusters file, and the record of cache.
	if !killed(t, 5, "migrate", "--apply") || !w.isRecorded("cache") || w.isRecorded("pvc-1") {
		t.Fatal("the fifth change is not the first after the record of cache")
	}
	if err := purge(t.Context(), made{volumes, "", "cache"}); err != nil {
		t.Fatal(err)
	}
	code, _, progress := kubectl(t, "migrate", "--apply")
	if code != cli.ExitLeft || !strings.Contains(progress, "PersistentVolume cache is gone, and not by this migration") {
		t.Errorf("exit %d, %s", code, progress)
	}
	succeeds(t, []int{cli.ExitDone}, "migrate", "--rollback", "--wait")
	w.isAsBefore(before, 0)
}

// isRecorded says whether a volume has a record.
func (w *world) isRecorded(volume string) bool {
	w.Helper()
	list, err := client.Resource(configMaps).Namespace("glusterfs-csi").List(w.Context(), metav1.ListOptions{LabelSelector: "migrate.glusterfs.csi.gluster.org/record=volume"})
	if err != nil {
		w.Fatal(err)
	}
	for _, item := range list.Items {
		if of, _, _ := unstructured.NestedString(item.Object, "data", "of"); of == volume {
			return true
		}
	}
	return false
}

func TestADamagedClustersFileIsNotReplaced(t *testing.T) {
	w := twoAndInline(t)
	w.edit(configMaps, "glusterfs-csi", migrate.ClustersConfigMap, func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, "clusters: [", "data", migrate.ClustersKey)
	})
	before := w.snapshot()
	code, _, progress := kubectl(t, "migrate", "--apply")
	if code != cli.ExitFailed || !strings.Contains(progress, "mend it first") {
		t.Errorf("exit %d, %s", code, progress)
	}
	w.same("refused", before, w.snapshot())
}

// TestTwoAtOnce: each of two processes does what the other has not done yet. One may be refused by what the other has changed meanwhile; repeated,
// either finds everything done.
func TestTwoAtOnce(t *testing.T) {
	w := twoAndInline(t)
	before := w.snapshot()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, what := range []string{"--apply", "--rollback"} {
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				output, err := command(ctx, 0, "migrate", what).CombinedOutput()
				t.Logf("%s: %v\n%s", what, err, output)
			})
		}
		group.Wait()
		succeeds(t, []int{cli.ExitDone, cli.ExitLeft}, "migrate", what, "--wait")
		if what == "--apply" {
			w.areMigrated()
		}
	}
	w.isAsBefore(before, 0)
}
