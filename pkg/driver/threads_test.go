// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// call is a CSI call with all that it is given.
type call func(context.Context) error

// atOnce makes all calls at the same moment, each so many times, with the deadline of the provisioner. None may fail.
func atOnce(t *testing.T, times int, calls ...call) {
	t.Helper()
	const deadline = 90 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	began := time.Now()
	start := make(chan struct{})
	errs := make(chan error, times*len(calls))
	for _, each := range calls {
		for range times {
			go func() {
				<-start
				errs <- each(ctx)
			}()
		}
	}
	close(start)
	failed := 0
	for range cap(errs) {
		if err := <-errs; err != nil {
			failed++
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	}
	t.Logf("%d calls at once took %v, %d failed", cap(errs), time.Since(began).Round(time.Millisecond), failed)
}

// threads counts those of a process. Go ends no thread that once was needed for a system call, so what there is now is
// the most that there ever was.
func threads(t *testing.T, pid int) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// named is a volume as CreateVolume returns it.
func named(on, name string) *csi.Volume {
	return &csi.Volume{VolumeId: testcluster.Name + "/" + on + "/" + name, VolumeContext: map[string]string{pathKey: name}}
}

// Every kind of call that waits on GlusterFS, or on the kernel's mounts.
func (r *rig) creates(v *csi.Volume) call {
	return func(ctx context.Context) error {
		_, err := r.controller.CreateVolume(ctx, request(nameOf(v)))
		return err
	}
}

func (r *rig) deletes(v *csi.Volume) call {
	return func(ctx context.Context) error {
		_, err := r.controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: v.GetVolumeId()})
		return err
	}
}

func (r *rig) gets(v *csi.Volume) call {
	return func(ctx context.Context) error {
		_, err := r.controller.ControllerGetVolume(ctx, &csi.ControllerGetVolumeRequest{VolumeId: v.GetVolumeId()})
		return err
	}
}

func (r *rig) validates(v *csi.Volume) call {
	return func(ctx context.Context) error {
		response, err := r.controller.ValidateVolumeCapabilities(ctx, &csi.ValidateVolumeCapabilitiesRequest{
			VolumeId: v.GetVolumeId(), VolumeContext: v.GetVolumeContext(), VolumeCapabilities: []*csi.VolumeCapability{capability(manyWriters)},
		})
		if err == nil && response.GetConfirmed() == nil {
			err = errors.New(response.GetMessage())
		}
		return err
	}
}

func (r *rig) lists(ctx context.Context) error {
	const page = 16
	response, err := r.controller.ListVolumes(ctx, &csi.ListVolumesRequest{MaxEntries: page})
	if err == nil && len(response.GetEntries()) != page {
		err = fmt.Errorf("a page has %d entries", len(response.GetEntries()))
	}
	return err
}

func (r *rig) tellsCapacity(ctx context.Context) error {
	_, err := r.controller.GetCapacity(ctx, &csi.GetCapacityRequest{})
	return err
}

func (r *rig) publishes(v *csi.Volume, target string, change ...how) call {
	return func(ctx context.Context) error {
		_, err := r.node.NodePublishVolume(ctx, publishRequest(v, r.target(target), change...))
		return err
	}
}

func (r *rig) unpublishes(v *csi.Volume, target string) call {
	return func(ctx context.Context) error {
		_, err := r.node.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: v.GetVolumeId(), TargetPath: r.target(target)})
		return err
	}
}

func (r *rig) looksAt(v *csi.Volume, target string) call {
	return func(ctx context.Context) error {
		_, err := r.node.NodeGetVolumeStats(ctx, statsRequest(v, r.target(target)))
		return err
	}
}

func TestTwoThousandCallsAtOnceNeedFewThreads(t *testing.T) {
	const kinds, of, twice, most = 10, 100, 2, 120
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	dir := newDir(t)
	write(t, filepath.Join(dir, "clusters.yaml"), clustersYAML(c.Servers(), name))
	r, process := serveChild(t, dir)
	var before, calls, after []call
	for i := range of {
		begun, kept, going := named(name, fmt.Sprint("new-", i)), named(name, fmt.Sprint("kept-", i)), named(name, fmt.Sprint("going-", i))
		late, pod, leaving := fmt.Sprint("late-", i), fmt.Sprint("pod-", i), fmt.Sprint("leaving-", i)
		before = append(before, r.creates(going), func(ctx context.Context) error {
			return errors.Join(r.creates(kept)(ctx), r.publishes(kept, pod)(ctx), r.publishes(kept, leaving)(ctx))
		})
		calls = append(calls, r.creates(begun), r.deletes(going), r.gets(kept), r.validates(kept), r.lists, r.tellsCapacity,
			r.publishes(kept, late), r.publishes(kept, pod), r.unpublishes(kept, leaving), r.looksAt(kept, pod))
		after = append(after, r.unpublishes(kept, late), r.unpublishes(kept, pod))
	}
	atOnce(t, 1, before...)
	atOnce(t, twice, calls...)
	if len(calls) != kinds*of {
		t.Fatalf("%d calls", len(calls))
	}
	n := threads(t, process.Process.Pid)
	t.Logf("the driver has %d threads", n)
	if n > most {
		t.Errorf("the driver has %d threads, at most %d are allowed", n, most)
	}
	atOnce(t, 1, after...)
	if err := errors.Join(process.Process.Kill(), ignore(process.Wait())); err != nil {
		t.Fatal(err)
	}
}
