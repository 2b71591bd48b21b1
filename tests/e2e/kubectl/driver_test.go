// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// binaryVariable is an environment variable: the driver's binary, for the plugin in a process of its own.
const binaryVariable = "GLUSTERFS_CSI_BINARY"

var (
	pool   *testcluster.Cluster
	driver *testdriver.Driver
)

// startDriver starts a Gluster volume gv0 of two servers, the driver, and its provisioner.
func startDriver(ctx context.Context) error {
	var err error
	if pool, err = testcluster.Start(ctx, testcluster.Options{}); err != nil {
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
	if driver, err = testdriver.Start(ctx, binary, dir, clusters); err != nil {
		return err
	}
	return server.Provision(ctx, "../modules", strings.TrimPrefix(driver.Endpoint(), "unix://"))
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
func (w *world) makeController() {
	w.Helper()
	const name = "glusterfs-csi-controller-0"
	w.make(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": name, "labels": map[string]any{
			"app.kubernetes.io/name": "glusterfs-csi", "app.kubernetes.io/component": "controller",
		}},
		"spec": map[string]any{"automountServiceAccountToken": false, "containers": []any{map[string]any{
			"name": "driver", "image": "glusterfs-csi", "args": []any{"controller", "--clusters=" + driver.Clusters, "--state-dir=" + driver.State(), "--trash-retention=24h"},
		}}},
	}, "glusterfs-csi")
	pod := w.get(pods, "glusterfs-csi", name)
	if err := unstructured.SetNestedField(pod.Object, []any{map[string]any{
		"name": "driver", "ready": true, "restartCount": int64(0), "image": "glusterfs-csi", "imageID": "glusterfs-csi",
	}}, "status", "containerStatuses"); err != nil {
		w.Fatal(err)
	}
	if _, err := client.Resource(pods).Namespace("glusterfs-csi").UpdateStatus(w.Context(), pod, metav1.UpdateOptions{}); err != nil {
		w.Fatal(err)
	}
}
