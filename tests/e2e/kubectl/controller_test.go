// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
)

// controllerAddress is where such a controller says how it is.
const controllerAddress = "127.0.0.1:29719"

// controller is one that speaks to the API server.
type controller struct {
	dir string

	mu     sync.Mutex
	stderr bytes.Buffer
}

func (c *controller) Write(text []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stderr.Write(text)
}

func (c *controller) log() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stderr.String()
}

// newController runs a controller until the test ends, with a flag that names its service account, and with the rights
// that are in a file of the manifests.
func (w *world) newController(flag, rights string) *controller {
	w.Helper()
	w.make(map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": "glusterfs-csi-controller"}}, "glusterfs-csi")
	w.makeController()
	w.makeFile(rights)
	dir, err := os.MkdirTemp("", "e") // a name short enough for a unix socket in it
	if err != nil {
		w.Fatal(err)
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(server.Config.Host, "https://"), ":")
	process := exec.Command(os.Getenv(binaryVariable), "controller", flag+"="+w.account(), "--http-endpoint="+controllerAddress, "--endpoint=unix://"+dir+"/csi.sock", "--clusters="+driver.Clusters, "--state-dir="+dir+"/state")
	process.Env = append(os.Environ(), "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port,
		"POD_NAME=glusterfs-csi-controller-0", "POD_UID="+string(w.get(pods, "glusterfs-csi", "glusterfs-csi-controller-0").GetUID()))
	c := &controller{dir: dir}
	process.Stderr = c
	if err := process.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := errors.Join(process.Process.Signal(syscall.SIGTERM), process.Wait()); err != nil || w.Failed() {
			w.Errorf("%v\n%s", err, c.log())
		}
		w.forget(dir)
	})
	return c
}

// account is the directory of the controller's service account, as kubelet would mount it.
func (w *world) account() string {
	w.Helper()
	dir := w.TempDir()
	token, err := exec.CommandContext(w.Context(), build.Path("kubectl"), "-n", "glusterfs-csi", "create", "token", "glusterfs-csi-controller", "--kubeconfig", server.Kubeconfig).Output()
	if err != nil {
		w.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(filepath.Dir(server.Kubeconfig), "certificates/apiserver.crt"))
	if err != nil {
		w.Fatal(err)
	}
	for name, content := range map[string][]byte{"token": token, "ca.crt": authority, "namespace": []byte("glusterfs-csi")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			w.Fatal(err)
		}
	}
	return dir
}
