// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/apiserver"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

var (
	contents  = schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshotcontents"}
	snapshots = schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots"}
)

// newCluster is a Kubernetes cluster that has nothing but the driver, with its class, which everything here speaks to until the test
// ends: an API server of its own. The Gluster volume and the driver are the same. Nobody provisions there.
func newCluster(t *testing.T) *world {
	t.Helper()
	runtime.LockOSThread() // its processes end with the thread that started them
	first := server
	t.Cleanup(func() {
		server = first
		if err := connect(); err != nil {
			t.Error(err)
		}
	})
	second, err := apiserver.Start(t.Context(), "../modules", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	server = second
	if err := connect(); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.makeFile(repository + "/deploy/kubernetes/base/storageclass.yaml")
	w.makeController()
	return w
}

// hasSnapshots adds the kinds of snapshots to a cluster.
func (w *world) hasSnapshots() {
	w.Helper()
	w.makeFile(repository + "/deploy/kubernetes/snapshot-controller/snapshot-crds.yaml")
	w.await("the cluster has VolumeSnapshots", func() error {
		_, err := client.Resource(snapshots).List(w.Context(), metav1.ListOptions{})
		_, errContents := client.Resource(contents).List(w.Context(), metav1.ListOptions{})
		return errors.Join(err, errContents)
	})
}

// forgets removes all volumes and claims and what is of snapshots, and these namespaces, as if the store of the API server was emptied.
// Nobody provisions here, so no data goes with them.
func (w *world) forgets(names ...string) {
	w.Helper()
	for _, kind := range []schema.GroupVersionResource{snapshots, contents, volumes, claims} {
		for _, item := range w.list(kind) {
			if err := purge(w.Context(), made{kind, item.GetNamespace(), item.GetName()}); err != nil {
				w.Fatal(err)
			}
		}
	}
	for _, name := range names {
		if err := client.Resource(namespaces).Delete(w.Context(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			w.Fatal(err)
		}
	}
	for _, name := range names {
		w.await("namespace "+name+" is gone", func() error {
			if _, err := client.Resource(namespaces).Get(w.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("it is there (%w)", err)
			}
			return nil
		})
	}
}

// otherDriver is the controller of another Kubernetes cluster on the same Gluster volume.
type otherDriver struct {
	*testdriver.Caller

	w       *world
	process *exec.Cmd
}

// newOtherDriver runs one until it is stopped, or the test ends.
func (w *world) newOtherDriver(kubernetes string) *otherDriver {
	w.Helper()
	dir, err := os.MkdirTemp("", "o") // a name short enough for a unix socket in it
	if err != nil {
		w.Fatal(err)
	}
	endpoint := "unix://" + dir + "/csi.sock"
	o := &otherDriver{w: w, process: exec.Command(os.Getenv(binaryVariable), "controller", "--kubernetes-id="+kubernetes, "--endpoint="+endpoint,
		"--clusters="+driver.Clusters, "--state-dir="+dir+"/state")}
	if err = o.process.Start(); err == nil {
		o.Caller, err = testdriver.Dial(endpoint)
	}
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		o.stop()
		if err := o.Close(); err != nil {
			w.Error(err)
		}
		w.forget(dir)
	})
	return o
}

func (o *otherDriver) stop() {
	o.w.Helper()
	if o.process.ProcessState != nil {
		return
	}
	if err := errors.Join(o.process.Process.Signal(syscall.SIGTERM), o.process.Wait()); err != nil {
		o.w.Error(err)
	}
}

// create makes a volume for a claim, as the provisioner of that cluster would.
func (o *otherDriver) create(name, namespace, claim string) *csi.Volume {
	o.w.Helper()
	var made *csi.Volume
	o.w.await("a volume of the other cluster", func() (err error) {
		ctx, cancel := context.WithTimeout(o.w.Context(), patience)
		defer cancel()
		made, err = o.Create(ctx, name, func(request *csi.CreateVolumeRequest) {
			request.Parameters = map[string]string{"csi.storage.k8s.io/pvc/namespace": namespace, "csi.storage.k8s.io/pvc/name": claim}
		})
		return err
	})
	return made
}
