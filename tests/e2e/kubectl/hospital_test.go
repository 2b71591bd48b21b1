// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
)

// newHospital is a healthy cluster of one node, with the driver as its manifests make it, and quota on.
func newHospital(t *testing.T) *world {
	t.Helper()
	w := newShop(t)
	for _, file := range []string{"controller.yaml", "node.yaml", "mounter.yaml"} {
		w.makeFile(repository + "/deploy/kubernetes/base/" + file)
	}
	w.edit(configMaps, "glusterfs-csi", migrate.ClustersConfigMap, func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, pool.ClustersYAML(), "data", migrate.ClustersKey)
	})
	w.areReady()
	w.make(map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": "pi-worker1"}}, "")
	w.make(map[string]any{
		"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": map[string]any{"name": "pi-worker1"},
		"spec": map[string]any{"drivers": []any{map[string]any{"name": migrate.DriverName, "nodeID": "pi-worker1"}}},
	}, "")
	kubelet := t.TempDir()
	for _, name := range []string{"pods", "plugins_registry"} {
		if err := os.Mkdir(filepath.Join(kubelet, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.makePod("node", "pi-worker1", "--kubelet-dir="+kubelet)
	w.makePod("mounter", "pi-worker1")
	for _, f := range w.examine() {
		if f.Check == "quota" {
			w.run(f.Cure)
		}
	}
	return w
}

// areReady says what controllers would say of the driver's pods: that they are ready.
func (w *world) areReady() {
	w.Helper()
	w.setStatus(deployments, "glusterfs-csi", "glusterfs-csi-controller", map[string]any{"replicas": int64(1), "readyReplicas": int64(1)})
	for _, name := range []string{"glusterfs-csi-node", "glusterfs-csi-mounter"} {
		w.setStatus(daemonSets, "glusterfs-csi", name, map[string]any{
			"currentNumberScheduled": int64(1), "desiredNumberScheduled": int64(1), "numberMisscheduled": int64(0), "numberReady": int64(1),
		})
	}
}

// examine is what doctor finds, without what is well.
func (w *world) examine() []answers.Finding {
	w.Helper()
	_, out, progress := kubectl(w.T, "doctor", "-o", "json")
	var list struct {
		Kind  string            `json:"kind"`
		Items []answers.Finding `json:"items"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || list.Kind != "Examination" {
		w.Fatalf("%v: %s%s", err, out, progress)
	}
	var bad []answers.Finding
	for _, f := range list.Items {
		if f.Severity != answers.OK {
			bad = append(bad, f)
		}
	}
	return bad
}

// isWell waits until nothing is found any more.
func (w *world) isWell() {
	w.Helper()
	w.await("all is well", func() error {
		if bad := w.examine(); len(bad) > 0 {
			return fmt.Errorf("%+v", bad)
		}
		return nil
	})
}

// finds waits for the finding, and returns its cure.
func (w *world) finds(check, about, says string) (cure string) {
	w.Helper()
	w.await(check+" is found", func() error {
		bad := w.examine()
		for _, f := range bad {
			if f.Check == check && strings.Contains(f.About, about) && strings.Contains(f.Message, says) {
				cure = f.Cure
				return nil
			}
		}
		return fmt.Errorf("found %+v", bad)
	})
	return cure
}

// run runs a printed command as it is: of gluster on a server, of glusterfs-csi in the controller, and of kubectl here.
func (w *world) run(command string) {
	w.Helper()
	command, _, _ = strings.Cut(command, "   #")
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	for command := range strings.SplitSeq(command, " && ") {
		words := strings.Fields(command)
		var output []byte
		var err error
		switch {
		case words[0] == "gluster":
			var said string
			said, err = pool.Gluster(words[1:]...)
			output = []byte(said)
		case words[0] == "glusterfs-csi":
			output, err = driver.Command(ctx, words[1:]...).CombinedOutput()
		case strings.HasPrefix(command, "kubectl glusterfs "):
			succeeds(w.T, []int{cli.ExitDone}, words[2:]...)
		case words[0] == "kubectl":
			c := exec.CommandContext(ctx, build.Path("kubectl"), append(words[1:], "--kubeconfig", server.Kubeconfig)...)
			c.Dir = repository
			output, err = c.CombinedOutput()
		default:
			w.Fatalf("%q is no command that a test can run", command)
		}
		w.Logf("$ %s\n%s", command, output)
		if err != nil {
			w.Fatalf("%s: %v", command, err)
		}
	}
}

func (w *world) deleteObject(resource schema.GroupVersionResource, namespace, name string) {
	w.Helper()
	if err := purge(w.Context(), made{resource, namespace, name}); err != nil {
		w.Fatal(err)
	}
}
