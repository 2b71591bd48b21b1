// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Each of these is where it must not get out from. The name of a file has spaces, as names of files have.
const (
	plantedSecret      = "hunter2-of-a-secret"
	plantedEnvironment = "hunter2-of-an-environment"
	plantedAnnotation  = "hunter2-of-an-annotation"
	plantedOutput      = "hunter2-of-a-container"
	plantedToken       = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl"
	plantedFile        = "salaries of 2026 => confidential.ods"
)

var planted = []string{plantedSecret, plantedEnvironment, plantedAnnotation, plantedOutput, plantedToken, plantedFile, "salaries", "confidential"}

// kubelet serves what the API server asks a kubelet for, the logs of containers, and makes a node that has it.
func (w *world) kubelet(node string, log func(container string) string) {
	w.Helper()
	kubelet := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		container := path.Base(r.URL.Path)
		if !strings.HasPrefix(r.URL.Path, "/containerLogs/glusterfs-csi/") || r.URL.Query().Get("previous") == "true" && container != "driver" {
			http.Error(out, "previous terminated container not found", http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(out, log(container))
	}))
	w.Cleanup(kubelet.Close)
	w.nodeAt(node, kubelet.Listener.Addr().(*net.TCPAddr))
}

// silentKubelet makes a node whose kubelet takes connections and never answers, as that of a machine that hangs.
func (w *world) silentKubelet(node string) {
	w.Helper()
	listener, err := (&net.ListenConfig{}).Listen(w.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = listener.Close() })
	w.nodeAt(node, listener.Addr().(*net.TCPAddr))
}

func (w *world) nodeAt(node string, at *net.TCPAddr) {
	w.Helper()
	w.make(map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": node}}, "")
	w.setStatus(nodes, "", node, []any{map[string]any{"type": "InternalIP", "address": at.IP.String()}}, "addresses")
	w.setStatus(nodes, "", node, int64(at.Port), "daemonEndpoints", "kubeletEndpoint", "Port")
}

// plant puts secrets where they are in clusters.
func (w *world) plant() {
	w.Helper()
	w.make(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "planted"}, "stringData": map[string]any{"password": plantedSecret},
	}, "glusterfs-csi")
	environment := []any{map[string]any{"name": "PASSWORD", "value": plantedEnvironment}}
	user := pod("user", "data")
	user["metadata"].(map[string]any)["annotations"] = map[string]any{"kubectl.kubernetes.io/last-applied-configuration": plantedAnnotation}
	container := user["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	container["env"], container["command"] = environment, []any{"run", "--password=" + plantedEnvironment}
	w.make(user, "shop")
	for _, kind := range []string{"glusterfs-csi-node", "glusterfs-csi-mounter"} {
		w.edit(daemonSets, "glusterfs-csi", kind, func(u *unstructured.Unstructured) {
			u.SetAnnotations(map[string]string{"planted": plantedAnnotation})
			containers, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
			containers[0].(map[string]any)["env"] = environment
			containers = append(containers, map[string]any{"name": "injected", "image": "x", "args": []any{plantedEnvironment}})
			_ = unstructured.SetNestedSlice(u.Object, containers, "spec", "template", "spec", "containers")
		})
	}
	at := time.Now().UTC().Format(time.RFC3339)
	for reason, message := range map[string]string{"Unhealthy": "probe failed: " + plantedOutput, "FailedMount": "it cannot be mounted: so says an event"} {
		w.make(map[string]any{
			"apiVersion": "v1", "kind": "Event", "metadata": map[string]any{"name": strings.ToLower(reason)}, "reason": reason, "message": message, "type": "Warning",
			"involvedObject": map[string]any{"kind": "Pod", "namespace": "shop", "name": "user"}, "firstTimestamp": at, "lastTimestamp": at,
		}, "shop")
	}
}

// clientNames has the driver's client log the name of a file that it cannot reach. Everything is up again then. A
// client that has just been given new options says less; then it is done once more.
func (w *world) clientNames(file string) {
	w.Helper()
	dir, err := os.OpenRoot(filepath.Dir(w.file("shop", "data")))
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	isNamed := func() bool {
		logs, _ := filepath.Glob(filepath.Join(driver.State(), "clients/*/*/*/log"))
		return slices.ContainsFunc(logs, func(log string) bool {
			text, _ := os.ReadFile(log)
			return strings.Contains(string(text), file)
		})
	}
	w.await("a client names the file", func() error {
		if err := dir.WriteFile(file, nil, 0o600); err != nil {
			return err
		}
		if err := errors.Join(pool.KillBrick("gv0", 0), pool.KillBrick("gv0", 1), pool.KillBrick("gv0", 2)); err != nil {
			return err
		}
		var failed error
		for tick, ended := time.Tick(50*time.Millisecond), time.After(5*time.Second); !isNamed() && failed == nil; {
			select {
			case <-tick:
				_, _ = dir.Stat(file)
			case <-ended:
				failed = errors.New("no log has it")
			}
		}
		return errors.Join(failed, pool.StartBrick("gv0", 0))
	})
	w.await("the volume is back", func() error {
		_, err := dir.Stat(file)
		return err
	})
}
