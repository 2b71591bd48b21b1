// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/dump"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
)

var nodes = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}

// bundleOf runs dump, and returns its exit code, index and files.
func (w *world) bundleOf(run inside.Run, within time.Duration, args ...string) (code int, index dump.Index, files map[string]string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), within)
	defer cancel()
	at := filepath.Join(w.TempDir(), "bundle.tar.gz")
	var stdout, stderr bytes.Buffer
	code = cli.Run(ctx, cli.Environment{Version: "test", Out: &stdout, Err: &stderr, Run: run}, append([]string{"dump", "--file", at, "--kubeconfig", server.Kubeconfig}, args...))
	if ctx.Err() != nil {
		w.Fatalf("it took more than %s\n%s%s", within, &stdout, &stderr)
	}
	w.Logf("exit %d\n%s%s", code, &stdout, &stderr)
	compressed, err := os.ReadFile(at)
	if err != nil {
		w.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		w.Fatal(err)
	}
	files = map[string]string{}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			w.Fatal(err)
		}
		_, name, _ := strings.Cut(header.Name, "/")
		files[name] = string(text)
	}
	if err := json.Unmarshal([]byte(files["index.json"]), &index); err != nil || len(index.Files) != len(files)-1 {
		w.Fatalf("%v: the index has %d of %d files", err, len(index.Files), len(files)-1)
	}
	for name, text := range files {
		for _, p := range planted {
			if at := strings.Index(text, p); at >= 0 {
				w.Errorf("%q is in %s: %s", p, name, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
	return code, index, files
}

// has wants each of these texts in a file.
func has(t *testing.T, files map[string]string, name string, texts ...string) {
	t.Helper()
	text, there := files[name]
	if !there {
		t.Errorf("there is no %s", name)
	}
	for _, want := range texts {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in %s:\n%.3000s", want, name, text)
		}
	}
}

// sick is a hospital with a second node, a volume in use, and everything planted. Its node pi-worker2 is down.
func sick(t *testing.T) *world {
	w := newHospital(t)
	w.newClaim("shop", "data", "kept")
	w.plant()
	volume, _, _ := unstructured.NestedString(w.get(claims, "shop", "data").Object, "spec", "volumeName")
	w.kubelet("pi-worker1", func(container string) string {
		return "I1126 23:00:00.000000 1 a.go:1] \"Started\" container=\"" + container + "\" token=" + plantedToken + "\n" +
			"E1126 23:00:01.000000 1 a.go:2] \"Cannot grant\" err=\"open /var/lib/glusterfs-csi/clients/pi/gv0/default/start-1/mnt/" + volume + "/" + plantedFile + ": permission denied\"\n"
	})
	w.silentKubelet("pi-worker2")
	w.deleteObject(pods, "glusterfs-csi", "glusterfs-csi-controller-0")
	w.makePod("controller", "pi-worker1")
	w.clientNames(plantedFile)
	return w
}

// TestABundleOfAHealthyCluster has all that the driver's pods tell, and nothing that was planted.
func TestABundleOfAHealthyCluster(t *testing.T) {
	w := sick(t)
	w.deleteObject(nodes, "", "pi-worker2")
	code, index, files := w.bundleOf(runHere, patience)
	if code != cli.ExitDone || len(index.Missing) > 0 {
		t.Errorf("exit %d, missing %+v", code, index.Missing)
	}
	has(t, files, "doctor.json", `"check": "server"`, "glusterd answers")
	has(t, files, "objects/persistentvolumeclaim.json", `"name": "data"`)
	has(t, files, "objects/configmap.json", pool.Servers()[0])
	has(t, files, "objects/daemonset.json", "--endpoint=")
	has(t, files, "objects/pod.json", `"claimName": "data"`, "--state-dir=")
	has(t, files, "objects/event.json", "so says an event")
	has(t, files, "nodes/pi-worker1/glusterfs-csi-node-0/driver.log", `"Started" container="driver"`, "… (permission denied)")
	has(t, files, "nodes/pi-worker1/glusterfs-csi-node-0/driver.previous.log", "Started")
	has(t, files, "nodes/pi-worker1/glusterfs-csi-mounter-0/mounter.log", "Started")
	has(t, files, "nodes/pi-worker1/glusterfs-csi-node-0/mountinfo", "fuse.glusterfs", driver.State())
	has(t, files, "nodes/pi-worker1/glusterfs-csi-controller-0/mountinfo")
	logs := 0
	for name, text := range files {
		if strings.HasPrefix(name, "nodes/pi-worker1/glusterfs-csi-node-0/clients/pi/gv0/") && strings.HasSuffix(name, "/log") && strings.Contains(text, "Started running") {
			logs++
		}
		if strings.Contains(name, "mounter-0/clients") {
			t.Errorf("%s is there twice", name)
		}
	}
	if logs == 0 {
		t.Error("no log of a client is there")
	}
	if _, there := files["nodes/pi-worker1/glusterfs-csi-mounter-0/mounter.previous.log"]; there {
		t.Error("there is the log of a predecessor that never was")
	}

	_, index, files = w.bundleOf(runHere, patience, "--max-size", "40Ki")
	total := 0
	for _, text := range files {
		total += len(text)
	}
	cut := false
	for _, f := range index.Files {
		cut = cut || f.Cut > 0
	}
	if total -= len(files["index.json"]); total > 40<<10 || int64(total) != index.Bytes || !cut {
		t.Errorf("%d bytes of 40 KiB, the index says %d; something is cut: %t", total, index.Bytes, cut)
	}
}

// makePodsOf makes the driver's pods of another node, as those of the first.
func (w *world) makePodsOf(node string) {
	w.Helper()
	for _, component := range []string{"node", "mounter"} {
		u := w.get(pods, "glusterfs-csi", "glusterfs-csi-"+component+"-0").DeepCopy()
		status := u.Object["status"]
		u.SetName("glusterfs-csi-" + component + "-1")
		_ = unstructured.SetNestedField(u.Object, node, "spec", "nodeName")
		w.make(u.Object, "glusterfs-csi")
		made := w.get(pods, "glusterfs-csi", u.GetName())
		made.Object["status"] = status
		if _, err := client.Resource(pods).Namespace("glusterfs-csi").UpdateStatus(w.Context(), made, metav1.UpdateOptions{}); err != nil {
			w.Fatal(err)
		}
	}
}

// TestABundleWithANodeDownAndServersSilent ends within a minute, and names who has not answered.
func TestABundleWithANodeDownAndServersSilent(t *testing.T) {
	w := sick(t)
	w.makePodsOf("pi-worker2")
	file := w.file("shop", "data")
	defer w.await("the volume is back", func() error {
		_, err := os.Stat(file)
		return err
	})
	var commands sync.WaitGroup
	defer commands.Wait()
	for i := range pool.Servers() {
		if err := errors.Join(pool.StopBrick("gv0", i), pool.StopServer(i)); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := errors.Join(pool.ContinueServer(i), pool.ContinueBrick("gv0", i)); err != nil {
				t.Error(err)
			}
		}()
	}
	// As an exec by the API server: it ends with its context, also where the process cannot, since it waits for a
	// brick.
	run := func(ctx context.Context, in inside.Pod, command []string) ([]byte, error) {
		var output []byte
		var err error
		answered := make(chan struct{})
		if in.Node != "pi-worker2" {
			commands.Go(func() {
				output, err = runHere(ctx, in, command)
				close(answered)
			})
		}
		select {
		case <-answered:
			return output, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	code, index, files := w.bundleOf(run, time.Minute)
	if code != cli.ExitLeft {
		t.Errorf("exit %d", code)
	}
	const down = "nodes/pi-worker2/glusterfs-csi-"
	for _, what := range []string{down + "node-1/host", down + "node-1/driver.log", down + "mounter-1/host", down + "mounter-1/mounter.log"} {
		found := false
		for _, m := range index.Missing {
			found = found || m.What == what && m.Node == "pi-worker2" && m.Why != ""
		}
		if !found {
			t.Errorf("%s is not said to be missing: %+v", what, index.Missing)
		}
	}
	has(t, files, "doctor.json", "no answer of glusterd")
	has(t, files, "nodes/pi-worker1/glusterfs-csi-node-0/driver.log", "Started")
	has(t, files, "nodes/pi-worker1/glusterfs-csi-node-0/mountinfo", "fuse.glusterfs")
	has(t, files, "objects/node.json", "pi-worker2")
}
