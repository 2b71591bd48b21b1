// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
)

// atOnce makes all calls at the same moment, each of them twice, with the deadline of the provisioner. None may fail.
func atOnce(t *testing.T, what string, calls []func(context.Context) error) {
	t.Helper()
	const deadline = 90 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	began := time.Now()
	start := make(chan struct{})
	failed := make(chan error, 2*len(calls))
	var all sync.WaitGroup
	for _, call := range calls {
		for range 2 {
			all.Go(func() {
				<-start
				if err := call(ctx); err != nil {
					failed <- err
				}
			})
		}
	}
	close(start)
	all.Wait()
	t.Logf("%d calls at once, %s: %v", 2*len(calls), what, time.Since(began).Round(time.Millisecond))
	if n := len(failed); n > 0 {
		t.Fatalf("%s: %d of %d failed, the first: %v", what, n, 2*len(calls), <-failed)
	}
}

// threadsOf counts the threads of a process. A Go program ends none that it has once had for a system call, so what is
// there now is the most that there has been.
func threadsOf(t *testing.T, pid int) int {
	t.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(threads)
}

func TestTwoThousandCallsAtOnceNeedFewThreads(t *testing.T) {
	const most, calls = 120, 1000
	dir := newDir(t)
	write(t, filepath.Join(dir, "clusters.yaml"), clustersYAML(healthy(t).Servers(), "gv0"))
	r, process := serveChild(t, dir)
	code(t, r.delete(r.create()), 0) // its client is there
	t.Logf("threads before: %d", threadsOf(t, process.Process.Pid))
	var volumes []*csi.Volume
	var targets []string
	for i := range 250 {
		name := newName()
		volumes = append(volumes, &csi.Volume{VolumeId: "pi/gv0/" + name, VolumeContext: map[string]string{pathKey: name}})
		targets = append(targets, r.target(fmt.Sprint("p", i)))
	}
	burst := func(what string, kinds ...func(ctx context.Context, i int) error) {
		var all []func(context.Context) error
		for i := range volumes {
			for _, kind := range kinds {
				all = append(all, func(ctx context.Context) error { return kind(ctx, i) })
			}
		}
		atOnce(t, what, all)
		t.Logf("threads after %s: %d", what, threadsOf(t, process.Process.Pid))
	}
	create := func(ctx context.Context, i int) error {
		_, err := r.controller.CreateVolume(ctx, request(nameOf(volumes[i])))
		return err
	}
	publish := func(ctx context.Context, i int) error {
		_, err := r.node.NodePublishVolume(ctx, publishRequest(volumes[i], targets[i]))
		return err
	}
	stats := func(ctx context.Context, i int) error {
		_, err := r.node.NodeGetVolumeStats(ctx, statsRequest(volumes[i], targets[i]))
		return err
	}
	get := func(ctx context.Context, i int) error {
		_, err := r.controller.ControllerGetVolume(ctx, &csi.ControllerGetVolumeRequest{VolumeId: volumes[i].GetVolumeId()})
		return err
	}
	list := func(ctx context.Context, i int) error {
		_, err := r.controller.ListVolumes(ctx, &csi.ListVolumesRequest{MaxEntries: 10})
		return err
	}
	unpublish := func(ctx context.Context, i int) error {
		_, err := r.node.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: volumes[i].GetVolumeId(), TargetPath: targets[i]})
		return err
	}
	remove := func(ctx context.Context, i int) error {
		_, err := r.controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: volumes[i].GetVolumeId()})
		return err
	}
	burst("create", create)
	burst("publish", publish)
	burst("stats", stats)
	burst("get", get)
	burst("list", list)
	burst("unpublish", unpublish)
	burst("delete", remove)
	_ = calls
	if n := threadsOf(t, process.Process.Pid); n > most {
		t.Errorf("%d threads, at most %d are allowed", n, most)
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait()
}
