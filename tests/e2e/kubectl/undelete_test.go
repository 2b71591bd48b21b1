// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
)

func TestAClaimComesBackAsItWas(t *testing.T) {
	w := newShop(t)
	w.newClaim("shop", "data", "kept")
	before := w.objects("shop", "data")
	w.delete("shop", "data")
	if _, out, _ := kubectl(t, "trash", "-n", "shop"); !strings.Contains(out, "shop/data") || !strings.Contains(out, "1536Mi") {
		t.Errorf("the trash is\n%s", out)
	}
	gone := w.snapshot()
	code, out, _ := kubectl(t, "undelete", "data", "-n", "shop", "--dry-run")
	if code != cli.ExitDone || !strings.Contains(out, "to bring back") {
		t.Errorf("exit %d, %s", code, out)
	}
	w.same("a dry run", gone, w.snapshot())

	succeeds(t, []int{cli.ExitDone}, "undelete", "data", "-n", "shop", "--wait")
	w.holds("shop", "data", "kept")
	if after := w.objects("shop", "data"); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	back := w.snapshot()
	code, out, _ = kubectl(t, "undelete", "data", "-n", "shop")
	if code != cli.ExitDone || !strings.Contains(out, "there") {
		t.Errorf("twice: exit %d, %s", code, out)
	}
	w.same("twice", back, w.snapshot())

	w.delete("shop", "data") // the class's reclaim policy is that of what came back, too
	if left := entries(t); len(left) != 1 {
		t.Errorf("deleted again, the trash has %+v", left)
	}
}

func TestANamespaceComesBack(t *testing.T) {
	w := newShop(t)
	names := []string{"carts", "orders", "users"}
	for _, name := range names {
		w.newClaim("gone", name, "of "+name)
	}
	if err := client.Resource(namespaces).Delete(t.Context(), "gone", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await("the namespace is gone, and its volumes", func() error {
		if _, err := client.Resource(namespaces).Get(t.Context(), "gone", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there (%w)", err)
		}
		if left := w.list(volumes); len(left) > 0 {
			return fmt.Errorf("%d volumes are there", len(left))
		}
		return nil
	})
	code, out, _ := kubectl(t, "undelete", "--namespace-all", "-n", "gone")
	if code != cli.ExitLeft || !strings.Contains(out, "kubectl create namespace gone") {
		t.Fatalf("exit %d, %s", code, out)
	}
	w.make(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "gone"}}, "")
	succeeds(t, []int{cli.ExitDone}, "undelete", "--namespace-all", "-A", "--since", "1h", "--wait")
	for _, name := range names {
		w.holds("gone", name, "of "+name)
	}
	if code, out, _ := kubectl(t, "undelete", "--namespace-all", "-n", "gone"); code != cli.ExitDone || !strings.Contains(out, "Nothing is to bring back") {
		t.Errorf("twice: exit %d, %s", code, out)
	}
}

// TestUndeleteKilledBetweenAnyTwoSteps kills the process before each step, and repeats; an older volume of the same claim stays
// where it is.
func TestUndeleteKilledBetweenAnyTwoSteps(t *testing.T) {
	w := newShop(t)
	w.newClaim("shop", "data", "old")
	w.delete("shop", "data")
	w.newClaim("shop", "data", "new")
	steps := 0
	for n := 1; ; n++ {
		w.delete("shop", "data")
		stopped := killed(t, n, "undelete", "data", "-n", "shop")
		succeeds(t, []int{cli.ExitDone}, "undelete", "data", "-n", "shop", "--wait")
		w.holds("shop", "data", "new")
		if left := entries(t); len(left) != 1 {
			t.Fatalf("killed before step %d, the trash has %+v", n, left)
		}
		if !stopped {
			break
		}
		steps = n
	}
	if steps != 3 {
		t.Errorf("killed before %d steps, want volume, restore, claim", steps)
	}
}

func TestTheNewestComesBackAndOthersAreNamed(t *testing.T) {
	w := newShop(t)
	for _, content := range []string{"first", "second"} {
		w.newClaim("shop", "data", content)
		w.delete("shop", "data")
	}
	older := entries(t)[1].Entry
	code, out, _ := kubectl(t, "undelete", "data", "-n", "shop", "--wait")
	if code != cli.ExitDone || !strings.Contains(out, older) {
		t.Errorf("exit %d, and %s is not named:\n%s", code, older, out)
	}
	w.holds("shop", "data", "second")
	w.delete("shop", "data")
	succeeds(t, []int{cli.ExitDone}, "undelete", "data", "-n", "shop", "--wait", "--entry", older)
	w.holds("shop", "data", "first")
}

func TestWhatIsGoneIsSaid(t *testing.T) {
	newShop(t)
	code, out, progress := kubectl(t, "undelete", "never", "-n", "shop")
	if code != cli.ExitFailed || !strings.Contains(out, "gone for good") {
		t.Errorf("exit %d, %s%s", code, out, progress)
	}
}

// TestAnotherClaimIsInTheWay: one of the same name was made since, and has another volume. The printed commands help.
func TestAnotherClaimIsInTheWay(t *testing.T) {
	w := newShop(t)
	w.newClaim("shop", "data", "wanted")
	w.delete("shop", "data")
	entry := entries(t)[0].Entry
	w.newClaim("shop", "data", "empty")
	before := w.snapshot()
	code, out, _ := kubectl(t, "undelete", "data", "-n", "shop")
	said := strings.Join(strings.Fields(out), " ")
	if code != cli.ExitLeft || !strings.Contains(said, "kubectl -n shop delete pvc data, then: kubectl glusterfs undelete data -n shop --entry "+entry) {
		t.Errorf("exit %d, %s", code, out)
	}
	w.same("refused", before, w.snapshot())
	w.delete("shop", "data")
	succeeds(t, []int{cli.ExitDone}, "undelete", "data", "-n", "shop", "--wait", "--entry", entry)
	w.holds("shop", "data", "wanted")
}

// TestARetainedVolumeComesBack: its claim was deleted, also to another claim, and then its PersistentVolume was, too.
func TestARetainedVolumeComesBack(t *testing.T) {
	w := newShop(t)
	w.newClaim("shop", "data", "retained")
	name, _, _ := unstructured.NestedString(w.get(claims, "shop", "data").Object, "spec", "volumeName")
	w.edit(volumes, "", name, func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, "Retain", "spec", "persistentVolumeReclaimPolicy")
	})
	w.delete("shop", "data")
	succeeds(t, []int{cli.ExitDone}, "undelete", "data", "-n", "shop", "--wait")
	w.holds("shop", "data", "retained")
	w.delete("shop", "data")
	handle, _, _ := unstructured.NestedString(w.get(volumes, "", name).Object, "spec", "csi", "volumeHandle")
	succeeds(t, []int{cli.ExitDone}, "undelete", "copy", "-n", "shop", "--wait", "--entry", handle)
	w.holds("shop", "copy", "retained")
	w.delete("shop", "copy")
	if err := purge(t.Context(), made{volumes, "", name}); err != nil {
		t.Fatal(err)
	}
	succeeds(t, []int{cli.ExitDone}, "undelete", "data", "-n", "shop", "--wait")
	w.holds("shop", "data", "retained")
}

// TestWhatNoRecordKnowsIsAsked: a volume that was made by a driver that recorded no claims.
func TestWhatNoRecordKnowsIsAsked(t *testing.T) {
	w := newShop(t)
	w.make(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop"}}, "")
	v, err := driver.Create(t.Context(), "pvc-of-old")
	if err == nil {
		err = driver.Delete(t.Context(), v)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := entries(t)
	if len(all) != 1 || all[0].MadeFor != nil {
		t.Fatalf("%+v", all)
	}
	code, out, _ := kubectl(t, "undelete", "data", "-n", "shop", "--wait", "--entry", all[0].Entry)
	if code != cli.ExitDone || !strings.Contains(out, "--storage-class") {
		t.Errorf("exit %d, %s", code, out)
	}
	pv := w.get(volumes, "", "pvc-of-old")
	if policy, _, _ := unstructured.NestedString(pv.Object, "spec", "persistentVolumeReclaimPolicy"); policy != "Retain" {
		t.Errorf("its reclaim policy is %s", policy)
	}
	w.phase(claims, "shop", "data", "Bound")
}

// TestARefusedRestorationLeavesNothing: something is where the data was, which is known before; and it comes there between the look and
// the restoration.
func TestARefusedRestorationLeavesNothing(t *testing.T) {
	w := newShop(t)
	w.newClaim("shop", "data", "refused")
	place := filepath.Dir(w.file("shop", "data"))
	w.delete("shop", "data")
	before := w.snapshot()
	inTheWay := func() {
		if err := os.Mkdir(place, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	inTheWay()
	code, out, _ := kubectl(t, "undelete", "data", "-n", "shop")
	if code != cli.ExitLeft || !strings.Contains(out, "something is in its place") {
		t.Errorf("exit %d, %s", code, out)
	}
	w.same("refused", before, w.snapshot())
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	step := func(point string) error {
		if strings.HasPrefix(point, "restore") {
			inTheWay()
		}
		return nil
	}
	code, out, _ = kubectlAt(t, step, "undelete", "data", "-n", "shop")
	if code != cli.ExitLeft || !strings.Contains(out, "was there before") {
		t.Errorf("exit %d, %s", code, out)
	}
	w.await("the PersistentVolume is gone again", func() error {
		if left := w.list(volumes); len(left) > 0 {
			return fmt.Errorf("%v is there", left[0].GetName())
		}
		return nil
	})
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	succeeds(t, []int{cli.ExitDone}, "undelete", "data", "-n", "shop", "--wait")
	w.holds("shop", "data", "refused")
}

func TestTwoUndeleteAtOnce(t *testing.T) {
	w := newShop(t)
	w.newClaim("shop", "data", "once")
	w.delete("shop", "data")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			output, err := command(ctx, 0, "undelete", "data", "-n", "shop").CombinedOutput()
			t.Logf("%v\n%s", err, output)
		})
	}
	group.Wait()
	succeeds(t, []int{cli.ExitDone}, "undelete", "data", "-n", "shop", "--wait")
	w.holds("shop", "data", "once")
	if left := entries(t); len(left) > 0 {
		t.Errorf("in the trash: %+v", left)
	}
}
