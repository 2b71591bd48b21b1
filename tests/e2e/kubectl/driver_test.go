// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/debug"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// binaryVariable is an environment variable: the driver's binary, for the plugin in a process of its own.
const binaryVariable = "GLUSTERFS_CSI_BINARY"

var (
	pool   *testcluster.Cluster
	driver *testdriver.Driver
)

// startDriver starts a Gluster volume gv0 of three servers, the driver, and its provisioner.
func startDriver(ctx context.Context) error {
	var err error
	if pool, err = testcluster.Start(ctx, testcluster.Options{Replica: 3}); err != nil {
		return err
	}
	dir := filepath.Join(pool.Dir(), "driver")
	binary, clusters := filepath.Join(pool.Dir(), "glusterfs-csi"), filepath.Join(pool.Dir(), "clusters.yaml")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/glusterfs-csi")
	build.Dir = repository
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the driver: %w\n%s", err, output)
	}
	if err := errors.Join(os.Setenv(binaryVariable, binary), pool.ClustersFile(clusters)); err != nil {
		return err
	}
	account := filepath.Join(pool.Dir(), "account")
	if err := adminAccount(account); err != nil {
		return err
	}
	if driver, err = testdriver.Start(ctx, binary, dir, clusters, "--kubernetes-id=production", "--claims-from="+account); err != nil {
		return err
	}
	return server.Provision(ctx, "../modules", strings.TrimPrefix(driver.Endpoint(), "unix://"))
}

// adminAccount makes the directory of a service account that may do everything, as kubelet would mount it, and tells this process's
// children where the API server is.
func adminAccount(dir string) error {
	authority, err := os.ReadFile(filepath.Join(filepath.Dir(server.Kubeconfig), "certificates/apiserver.crt"))
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	for name, content := range map[string][]byte{"token": []byte(server.Config.BearerToken), "ca.crt": authority, "namespace": []byte("glusterfs-csi")} {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
		}
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(server.Config.Host, "https://"), ":")
	return errors.Join(err, os.Setenv("KUBERNETES_SERVICE_HOST", host), os.Setenv("KUBERNETES_SERVICE_PORT", port))
}

func stopDriver() error {
	var err error
	if driver != nil {
		err = driver.Stop()
	}
	if pool != nil {
		err = errors.Join(err, pool.Close())
	}
	return err
}

// runHere is what the API server and a kubelet do with a command in a pod of the driver.
func runHere(ctx context.Context, _ inside.Pod, command []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, os.Getenv(binaryVariable), command[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = &inside.ExitError{Code: exit.ExitCode(), Stderr: strings.TrimSpace(strings.TrimPrefix(stderr.String(), "glusterfs-csi: "))}
	}
	return stdout.Bytes(), err
}

// makeController makes the pod of the driver's controller, which is ready.
func (w *world) makeController() { w.makePod("controller", "") }

// makePod makes a pod of a component of the driver, which is ready, with the flags of the driver here.
func (w *world) makePod(component, node string, flags ...any) {
	w.Helper()
	name, container := "glusterfs-csi-"+component+"-0", "driver"
	if component == "mounter" {
		container = component
	}
	args := append([]any{component, "--clusters=" + driver.Clusters, "--state-dir=" + driver.State(), "--trash-retention=24h"}, flags...)
	w.make(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": name, "labels": map[string]any{
			"app.kubernetes.io/name": "glusterfs-csi", "app.kubernetes.io/component": component,
		}},
		"spec": map[string]any{
			"automountServiceAccountToken": false, "nodeName": node,
			"containers": []any{map[string]any{"name": container, "image": w.image(), "args": args}},
		},
	}, "glusterfs-csi")
	w.setStatus(pods, "glusterfs-csi", name, []any{map[string]any{
		"name": container, "ready": true, "restartCount": int64(0), "image": "glusterfs-csi", "imageID": "glusterfs-csi",
	}}, "containerStatuses")
	// One process is all components here.
	if err := os.Symlink(filepath.Base(debug.Socket("", "all")), debug.Socket(driver.State(), component)); err != nil && !errors.Is(err, fs.ErrExist) {
		w.Fatal(err)
	}
}

// image is that of the manifests.
func (w *world) image() string {
	w.Helper()
	text, err := os.ReadFile(repository + "/deploy/kubernetes/base/mounter.yaml")
	if err != nil {
		w.Fatal(err)
	}
	_, image, _ := strings.Cut(string(text), " image: ")
	image, _, found := strings.Cut(image, "\n")
	if !found {
		w.Fatal("the mounter has no image")
	}
	return image
}

func (w *world) setStatus(resource schema.GroupVersionResource, namespace, name string, value any, path ...string) {
	w.Helper()
	w.await("its status is set", func() error {
		u := w.get(resource, namespace, name)
		if err := unstructured.SetNestedField(u.Object, value, append([]string{"status"}, path...)...); err != nil {
			return err
		}
		_, err := client.Resource(resource).Namespace(namespace).UpdateStatus(w.Context(), u, metav1.UpdateOptions{})
		return err
	})
}

// deleteRequest is for the volume of a PersistentVolume.
func deleteRequest(w *world, pv string) *csi.DeleteVolumeRequest {
	w.Helper()
	handle, _, _ := unstructured.NestedString(w.get(volumes, "", pv).Object, "spec", "csi", "volumeHandle")
	return &csi.DeleteVolumeRequest{VolumeId: handle}
}
