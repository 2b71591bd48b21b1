// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

var events = schema.GroupVersionResource{Version: "v1", Resource: "events"}

// newTeller is a shop with a claim, and a controller beside that writes events by the rights that the manifests give
// it for that, and no others.
func newTeller(t *testing.T) *world {
	t.Helper()
	w := newShop(t)
	w.newClaim("shop", "data", "kept")
	c := w.newController("--events", repository+"/deploy/kubernetes/base/events.yaml")
	w.await("the controller has its client", func() error {
		mounts, err := filepath.Glob(c.dir + "/state/clients/*/gv0/*/start-*/ready")
		if len(mounts) == 0 {
			err = errors.Join(err, errors.New("it has none"))
		}
		return err
	})
	return w
}

// forget detaches what clients have mounted below a directory, whereupon they end, and removes it.
func (w *world) forget(dir string) {
	w.Helper()
	mounts, err := filepath.Glob(dir + "/state/clients/*/gv0/*/*/*")
	if err != nil {
		w.Error(err)
	}
	for _, at := range mounts {
		for syscall.Unmount(at, syscall.MNT_DETACH) == nil {
		}
	}
	testcluster.Eventually(w, patience, func() error { return os.RemoveAll(dir) })
}

// told waits for an event of an object, and returns it.
func (w *world) told(kind, namespace, name, reason, says string) *unstructured.Unstructured {
	w.Helper()
	var found *unstructured.Unstructured
	w.await(fmt.Sprintf("%s %s/%s is told of %s", kind, namespace, name, reason), func() error {
		list, err := client.Resource(events).Namespace(namespace).List(w.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name})
		if err != nil {
			return err
		}
		var said []string
		for _, e := range list.Items {
			message, _, _ := unstructured.NestedString(e.Object, "message")
			if e.Object["reason"] == reason && strings.Contains(message, says) {
				found = &e
				return nil
			}
			said = append(said, fmt.Sprint(e.Object["reason"], ": ", message))
		}
		return fmt.Errorf("it was told %q", said)
	})
	return found
}

// TestClaimsAreToldOfTheirBricks: an event for each claim and reason, by no more rights than the manifests give.
func TestClaimsAreToldOfTheirBricks(t *testing.T) {
	w := newTeller(t)
	brick := pool.Servers()[2]
	for count := range int64(2) {
		if err := pool.KillBrick("gv0", 2); err != nil {
			t.Fatal(err)
		}
		w.await("it is counted", func() error {
			e := w.told("PersistentVolumeClaim", "shop", "data", "BrickUnreachable", brick)
			uid, _, _ := unstructured.NestedString(e.Object, "involvedObject", "uid")
			times, _, _ := unstructured.NestedInt64(e.Object, "count")
			if e.Object["type"] != "Warning" || uid != string(w.get(claims, "shop", "data").GetUID()) || times < count+1 {
				return fmt.Errorf("%v", e.Object)
			}
			return nil
		})
		w.told("Pod", "glusterfs-csi", "glusterfs-csi-controller-0", "BrickUnreachable", brick)
		if err := pool.StartBrick("gv0", 2); err != nil {
			t.Fatal(err)
		}
		w.await("it is over", func() error {
			times, _, _ := unstructured.NestedInt64(w.told("PersistentVolumeClaim", "shop", "data", "BrickReachable", "pi/gv0").Object, "count")
			if times < count+1 {
				return fmt.Errorf("%d times", times)
			}
			return nil
		})
	}
	if err := errors.Join(pool.KillBrick("gv0", 1), pool.KillBrick("gv0", 2)); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(pool.StartBrick("gv0", 1), pool.StartBrick("gv0", 2)) }()
	w.told("PersistentVolumeClaim", "shop", "data", "QuorumLost", "pi/gv0")
	if err := errors.Join(pool.StartBrick("gv0", 1), pool.StartBrick("gv0", 2)); err != nil {
		t.Fatal(err)
	}
	w.told("PersistentVolumeClaim", "shop", "data", "QuorumRegained", "pi/gv0")

	output, err := describe(t.Context(), "shop", "data")
	if err != nil || !strings.Contains(output, "QuorumRegained") || !strings.Contains(output, "BrickUnreachable") {
		t.Errorf("%v\n%s", err, output)
	}
}

// TestAPodIsToldWhatItsNodeHasSeen, by the next of each minute's rounds. The report is as a node writes it
// (pkg/driver's TestWhoKeepsFilesOfADeadClientIsNamedAndRestartedWhereTheClassSaysSo).
func TestAPodIsToldWhatItsNodeHasSeen(t *testing.T) {
	w := newTeller(t)
	w.make(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "writer"},
		"spec": map[string]any{"automountServiceAccountToken": false, "nodeName": "worker", "containers": []any{map[string]any{"name": "writer", "image": "none"}}},
	}, "shop")
	uid := string(w.get(pods, "shop", "writer").GetUID())
	root, err := driver.ClientMount("gv0")
	if err != nil {
		t.Fatal(err)
	}
	shard := filepath.Join(root, ".glusterfs-csi/reports/00")
	report, err := json.Marshal(store.Report{Node: "worker", Pods: []store.Pod{
		{Namespace: "default", Name: "writer", UID: uid, Code: "DeadFiles", Message: "of a pod where nobody has a claim"},
		{Namespace: "shop", Name: "writer", UID: uid, Code: "DeadFiles", Message: "restart it"},
	}})
	if err := errors.Join(err, os.MkdirAll(shard, 0o700), os.Symlink(string(report), filepath.Join(shard, "0123456789abcdef.1"))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(filepath.Dir(shard)); err != nil {
			t.Error(err)
		}
	})
	e := w.told("Pod", "shop", "writer", "DeadFiles", "restart it")
	if about, _, _ := unstructured.NestedString(e.Object, "involvedObject", "uid"); about != uid || e.Object["type"] != "Warning" {
		t.Errorf("%v", e.Object)
	}
}

// describe is what an operator looks at.
func describe(ctx context.Context, namespace, claim string) (string, error) {
	output, err := exec.CommandContext(ctx, build.Path("kubectl"), "-n", namespace, "describe", "pvc", claim, "--kubeconfig", server.Kubeconfig).CombinedOutput()
	return string(output), err
}

// TestClaimsAreToldThatQuotaIsOff, which was on, by the next of each minute's rounds.
func TestClaimsAreToldThatQuotaIsOff(t *testing.T) {
	for _, words := range []string{"enable", "soft-timeout 5", "hard-timeout 0"} {
		if output, err := pool.Gluster(append([]string{"volume", "quota", "gv0"}, strings.Fields(words)...)...); err != nil && !strings.Contains(output, "already enabled") {
			t.Logf("%v: %s", err, output) // it may be on
		}
	}
	w := newTeller(t)
	w.await("the controller has seen that quota is on", func() error {
		response, err := http.Get("http://" + controllerAddress + "/metrics")
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		page, err := io.ReadAll(response.Body)
		if err == nil && !strings.Contains(string(page), `glusterfs_csi_quota_state{cluster="pi",state="exact",volume="gv0"} 1`) {
			err = errors.New("not yet")
		}
		return err
	})
	if output, err := pool.Gluster("volume", "quota", "gv0", "disable"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	message, _, _ := unstructured.NestedString(w.told("PersistentVolumeClaim", "shop", "data", "QuotaNotEnforced", "no volume ends at its capacity").Object, "message")
	_, cure, _ := strings.Cut(message, "on one of its servers: ")
	w.run(cure)
}
