// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// childVariable makes the test binary a driver: a directory, and a mode if it is not all.
const childVariable = "DRIVER_TEST_DIRECTORY"

func child(arguments string) {
	dir, mode, _ := strings.Cut(arguments, ",")
	d, err := New(context.Background(), modeOptions(dir, Mode(mode)))
	if err == nil {
		err = d.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// serveChild runs a driver in a process of its own, to be killed.
func serveChild(t *testing.T, dir string) (*rig, *exec.Cmd) {
	t.Helper()
	r := &rig{t: t, dir: dir, log: &lockedBuffer{}}
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), childVariable+"="+dir)
	process.Stderr = r.log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	connection := r.connect(options(dir).Endpoint)
	t.Cleanup(func() {
		connection.Close()
		if t.Failed() {
			t.Logf("the first driver's log:\n%s", r.log)
		}
	})
	return r, process
}

func TestPublishedVolumesOutliveTheDriver(t *testing.T) {
	dir := newDir(t)
	write(t, filepath.Join(dir, "clusters.yaml"), clustersYAML(healthy(t).Servers(), "gv0"))
	first, process := serveChild(t, dir)
	v := first.create()
	pod := first.publish(v, "pod")
	open, err := os.Create(filepath.Join(pod, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	device := mountAt(t, pod).Device
	writes := keepWriting(t, open)

	if err := errors.Join(process.Process.Kill(), ignore(process.Wait())); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pod, "alone"), []byte("nobody serves"), 0o600); err != nil {
		t.Errorf("without a driver: %v", err)
	}
	second := serveIn(t, dir)
	pid := second.pid()
	if !second.host.Clients()[0].Adopted || second.host.Clients()[0].Device != device {
		t.Errorf("client %+v was not adopted, the pod has device %v", second.host.Clients()[0], device)
	}
	code(t, second.tryPublish(v, pod), codes.OK)
	if got := mountAt(t, pod).Device; got != device {
		t.Errorf("the pod's device is %v now, was %v", got, device)
	}
	other := second.publish(v, "other")
	if data, err := os.ReadFile(filepath.Join(other, "alone")); string(data) != "nobody serves" {
		t.Errorf("read %q, %v", data, err)
	}
	if second.pid() != pid {
		t.Error("another client was started")
	}
	if err := writes(); err != nil {
		t.Errorf("a write failed meanwhile: %v", err)
	}
	open.Close()
	second.unpublish(v, pod, other)
	code(t, second.delete(v), codes.OK)
}

func TestARestartInTheSameProcessFindsItsVolumes(t *testing.T) {
	dir := newDir(t)
	write(t, filepath.Join(dir, "clusters.yaml"), clustersYAML(healthy(t).Servers(), "gv0"))
	first := serveIn(t, dir)
	v := first.create()
	pod, pid := first.publish(v, "pod"), first.pid()
	first.stop()
	second := serveIn(t, dir)
	if second.pid() != pid {
		t.Errorf("client %d became %d", pid, second.pid())
	}
	again, err := second.tryCreate(request(nameOf(v)))
	if err != nil || again.GetVolumeId() != v.GetVolumeId() {
		t.Errorf("%v, %v", again, err)
	}
	second.unpublish(v, pod)
	code(t, second.delete(v), codes.OK)
}

func TestADeadClientIsReplacedWhereSomebodyAsks(t *testing.T) {
	r := onGV0(t)
	v := r.create()
	republished, unpublished := r.publish(v, "a"), r.publish(v, "b")
	if err := os.WriteFile(filepath.Join(republished, "f"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	pid := r.pid()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, patience, func() error {
		if _, err := os.Stat(republished); !errors.Is(err, unix.ENOTCONN) {
			return fmt.Errorf("the target does not say ENOTCONN but %w", err)
		}
		return nil
	})
	r.unpublish(v, unpublished) // whatever the repair does meanwhile; its deadline bounds it
	ctx, cancel := r.context()
	defer cancel()
	_, err := r.node.NodeGetVolumeStats(ctx, statsRequest(v, republished))
	code(t, err, codes.Unavailable, "publish the volume again")

	// As kubelet does: for about 100 ms after the kill the mount is dead, the process is not seen to have ended yet, and
	// the client's last answer still counts.
	again := func(target string) string {
		testcluster.Eventually(t, patience, func() error { return r.tryPublish(v, target) })
		return target
	}
	fresh := again(r.target("c"))
	again(republished)
	for _, target := range []string{fresh, republished} {
		if data, err := os.ReadFile(filepath.Join(target, "f")); string(data) != "kept" {
			t.Errorf("%s: %q, %v", target, data, err)
		}
	}
	// The publish covers the dead one, if the repair has not replaced it before.
	if stack, err := mount.At(republished); len(stack) != 1 && len(stack) != 2 {
		t.Errorf("%d mounts are stacked there, %v", len(stack), err)
	}
	if r.pid() == pid {
		t.Error("the dead client is still listed")
	}
	r.unpublish(v, republished, fresh)
	if stack, err := mount.At(republished); len(stack) != 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%d mounts are left there, %v", len(stack), err)
	}
	code(t, r.delete(v), codes.OK)
}

// keepWriting appends to a file until the returned function is called, which returns the
// first error.
func keepWriting(t *testing.T, f *os.File) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		var first error
		_ = testcluster.Poll(ctx, func() error {
			if _, err := f.WriteString("x"); err != nil && first == nil {
				first = err
			}
			return errors.New("again")
		})
		ended <- first
	}()
	return func() error { cancel(); return <-ended }
}

// mountAt is the only mount at a target.
func mountAt(t *testing.T, target string) mount.Entry {
	t.Helper()
	stack, err := mount.At(target)
	if err != nil || len(stack) != 1 {
		t.Fatalf("at %s are %+v, %v; want one mount", target, stack, err)
	}
	return stack[0]
}

// ignore is for the error of a process that was killed.
func ignore(error) error { return nil }

func TestASecondDriverOnAStateDirectoryEndsAndSaysWhoHasIt(t *testing.T) {
	dir := newDir(t)
	write(t, filepath.Join(dir, "clusters.yaml"), clustersYAML(healthy(t).Servers(), "gv0"))
	first := serveIn(t, dir)
	o := options(dir)
	o.Endpoint = "unix://" + filepath.Join(dir, "second.sock")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	second, err := New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(ctx); !errors.Is(err, statedir.ErrKept) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("got %v", err)
	}
	v := first.create()
	code(t, first.delete(v), codes.OK)
}
