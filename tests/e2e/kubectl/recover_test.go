// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/recovery"
)

// newSnapshot makes a snapshot of a claim's volume, as the sidecar would.
func (w *world) newSnapshot(namespace, claim, name string) {
	w.Helper()
	volume, _, _ := unstructured.NestedString(w.get(claims, namespace, claim).Object, "spec", "volumeName")
	handle, _, _ := unstructured.NestedString(w.get(volumes, "", volume).Object, "spec", "csi", "volumeHandle")
	w.await("the snapshot is complete", func() error {
		response, err := driver.Controller.CreateSnapshot(w.Context(), &csi.CreateSnapshotRequest{
			Name: "snapshot-5f0c", SourceVolumeId: handle,
			Parameters: map[string]string{"csi.storage.k8s.io/volumesnapshot/namespace": namespace, "csi.storage.k8s.io/volumesnapshot/name": name},
		})
		if err == nil && !response.GetSnapshot().GetReadyToUse() {
			err = errors.New("it is still being copied")
		}
		return err
	})
	w.Cleanup(func() {
		id := strings.TrimSuffix(handle, volume) + "snapshot-5f0c"
		if output, err := driver.Command(context.WithoutCancel(w.Context()), "snapshot", "delete", id).CombinedOutput(); err != nil {
			w.Errorf("%v: %s", err, output)
		}
	})
}

// everything is snapshot, with what is of snapshots.
func (w *world) everything() map[string]string {
	w.Helper()
	all := w.snapshot()
	for _, kind := range []struct {
		name string
		list []unstructured.Unstructured
	}{{"content", w.list(contents)}, {"snapshot", w.list(snapshots)}, {"namespace", w.list(namespaces)}} {
		for _, item := range kind.list {
			all[kind.name+" "+item.GetNamespace()+"/"+item.GetName()] = asked(w, item)
		}
	}
	return all
}

// planned is what `recover` would do, without a change.
func planned(t *testing.T, args ...string) recovery.Plan {
	t.Helper()
	var plan struct {
		Kind string `json:"kind"`
		recovery.Plan
	}
	_, out, _ := kubectl(t, append([]string{"recover", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &plan); err != nil || plan.Kind != "Recovery" {
		t.Fatalf("%v: %s", err, out)
	}
	return plan.Plan
}

// TestRecoverKilledBetweenAnyTwoSteps recovers claims of two namespaces and a snapshot into a new cluster, from a process that is
// killed before each step, and by its repetition. What was deleted is reached by undelete then.
func TestRecoverKilledBetweenAnyTwoSteps(t *testing.T) {
	w := newShop(t)
	names := []string{"mail", "shop"}
	before := map[string]string{}
	for _, namespace := range names {
		w.newClaim(namespace, "data", "of "+namespace)
		before[namespace] = w.objects(namespace, "data")
	}
	w.newClaim("shop", "gone", "deleted")
	w.delete("shop", "gone")
	w.newSnapshot("shop", "data", "nightly")

	w = newCluster(t)
	code, out, _ := kubectl(t, "recover")
	if code != cli.ExitDone || !strings.Contains(out, "no VolumeSnapshots") || !strings.Contains(out, "(kubectl glusterfs trash -A): 1.") {
		t.Errorf("exit %d, %s", code, out)
	}
	w.hasSnapshots()
	nothing := w.everything()
	code, out, _ = kubectl(t, "recover", "--apply", "--dry-run", "-o", "wide")
	if code != cli.ExitDone || !strings.Contains(out, "to make: namespace, persistent volume, claim") || !strings.Contains(out, "shop/nightly") {
		t.Errorf("exit %d, %s", code, out)
	}
	w.same("a plan", nothing, w.everything())
	steps := 0
	for n := 1; ; n++ {
		w.forgets(names...)
		stopped := killed(t, n, "recover", "--apply")
		succeeds(t, []int{cli.ExitDone}, "recover", "--apply", "--wait")
		for _, namespace := range names {
			w.holds(namespace, "data", "of "+namespace)
			if after := w.objects(namespace, "data"); after != before[namespace] {
				t.Errorf("killed before step %d: it was\n%s\nand is\n%s", n, before[namespace], after)
			}
			if label := w.get(claims, namespace, "data").GetLabels()["app"]; label != "data" {
				t.Errorf("the claim's label is %q", label)
			}
		}
		handle, _, _ := unstructured.NestedString(w.get(contents, "", "snapcontent-5f0c").Object, "spec", "source", "snapshotHandle")
		content, _, _ := unstructured.NestedString(w.get(snapshots, "shop", "nightly").Object, "spec", "source", "volumeSnapshotContentName")
		if !strings.HasSuffix(handle, "/gv0/snapshot-5f0c") || content != "snapcontent-5f0c" {
			t.Errorf("the snapshot is %s, by %s", handle, content)
		}
		after := w.everything()
		code, out, _ := kubectl(t, "recover", "--apply")
		if code != cli.ExitDone || !strings.Contains(out, "0 to make, 0 made, 3 there") {
			t.Errorf("again: exit %d, %s", code, out)
		}
		w.same("again", after, w.everything())
		if !stopped {
			break
		}
		steps = n
	}
	if steps != 8 {
		t.Errorf("killed before %d steps, want namespace, volume and claim of two, content, snapshot", steps)
	}
	succeeds(t, []int{cli.ExitDone}, "undelete", "gone", "-n", "shop", "--wait")
	w.holds("shop", "gone", "deleted")
}

// TestRecoverLeavesWhatDiffers: what exists and is another is said, and not touched; what is missing beside it is made.
func TestRecoverLeavesWhatDiffers(t *testing.T) {
	w := newShop(t)
	for _, name := range []string{"large", "taken", "waiting", "wanted"} {
		w.newClaim("shop", name, name)
	}
	w.newClaim("mail", "wanted", "of mail")
	handle := map[string]string{}
	for _, target := range planned(t, "-n", "shop").Volumes {
		handle[target.Claim] = target.Name
		if target.State != recovery.There {
			t.Errorf("where they were made, %s is %s: %s", target.Claim, target.State, target.Reason)
		}
	}

	w = newCluster(t)
	succeeds(t, []int{cli.ExitDone}, "recover", "--apply", "--wait", "-n", "shop", "-l", "app in (large, taken)")
	if all := slices.Sorted(maps.Keys(w.snapshot())); len(all) != 5 { // two volumes, two claims and the clusters file
		t.Fatalf("of what was asked for there is %q", all)
	}
	w.edit(volumes, "", handle["large"], func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, "2Gi", "spec", "capacity", "storage")
	})
	for _, m := range []made{{volumes, "", handle["taken"]}, {claims, "shop", "taken"}} {
		if err := purge(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"taken", "waiting"} { // as an operator's own manifests would
		w.make(map[string]any{
			"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": name},
			"spec": map[string]any{"accessModes": []any{"ReadWriteMany"}, "storageClassName": "glusterfs", "resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}}},
		}, "shop")
	}
	before := w.snapshot()
	for _, args := range [][]string{{"recover", "--apply", "--wait", "--older-than", "8760h"}, {"recover", "--apply", "--wait"}, {"recover", "--apply", "--wait"}} {
		code, out, _ := kubectl(t, args...)
		if len(args) == 5 { // nothing is that old
			if code != cli.ExitDone {
				t.Errorf("exit %d, %s", code, out)
			}
			w.same("of nothing", before, w.snapshot())
			continue
		}
		said := strings.Join(strings.Fields(out), " ")
		for _, want := range []string{"its capacity is 2Gi, not 1536Mi", "kubectl -n shop delete pvc taken, and repeat", "kubectl -n shop delete pvc waiting, and repeat", "3 that differ"} {
			if !strings.Contains(said, want) {
				t.Errorf("it does not say %q:\n%s", want, out)
			}
		}
		if code != cli.ExitLeft {
			t.Errorf("exit %d", code)
		}
		w.holds("shop", "wanted", "wanted")
		w.holds("mail", "wanted", "of mail")
	}
	after := w.snapshot()
	maps.DeleteFunc(after, func(name, _ string) bool { return before[name] == "" })
	w.same("left", before, after)
}

// TestATakeOverIsRefusedWhileTheOtherRuns, and brings everything along when it does not: volumes, and what is in the trash.
func TestATakeOverIsRefusedWhileTheOtherRuns(t *testing.T) {
	w := newShop(t)
	dead := w.newOtherDriver("dead")
	dead.create("pvc-dead", "shop", "data")
	if err := dead.Delete(t.Context(), dead.create("pvc-trash", "shop", "gone")); err != nil {
		t.Fatal(err)
	}
	w.newClaim("shop", "own", "own")
	before := w.snapshot()
	plan := planned(t)
	if len(plan.Volumes) != 1 || len(plan.Elsewhere) != 1 || plan.Elsewhere[0] != (recovery.Elsewhere{Kubernetes: "dead", Volumes: 1, Trash: 1}) {
		t.Errorf("%+v", plan)
	}
	code, out, progress := kubectl(t, "recover", "--take-over", "dead", "--apply")
	if code != cli.ExitLeft || !strings.Contains(progress, "its controller runs") || out != "" {
		t.Errorf("exit %d, %s%s", code, out, progress)
	}
	if code, _, progress := kubectl(t, "undelete", "gone", "-n", "shop"); code != cli.ExitFailed {
		t.Errorf("what is another's: exit %d, %s", code, progress)
	}
	w.same("refused", before, w.snapshot())

	dead.stop()
	if !killed(t, 1, "recover", "--take-over", "dead", "--apply") || !killed(t, 2, "recover", "--take-over", "dead", "--apply") {
		t.Error("it was not killed")
	}
	w.same("killed before the first object", before, w.snapshot())
	succeeds(t, []int{cli.ExitDone}, "recover", "--take-over", "dead", "--apply", "--wait")
	w.phase(claims, "shop", "data", "Bound")
	if name, _, _ := unstructured.NestedString(w.get(claims, "shop", "data").Object, "spec", "volumeName"); name != "pvc-dead" {
		t.Errorf("it has %s", name)
	}
	after := w.snapshot()
	succeeds(t, []int{cli.ExitDone}, "recover", "--take-over", "dead", "--apply", "--wait")
	w.same("again", after, w.snapshot())
	succeeds(t, []int{cli.ExitDone}, "undelete", "gone", "-n", "shop", "--wait")
	w.phase(claims, "shop", "gone", "Bound")
}
