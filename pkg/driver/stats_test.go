// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func statsRequest(v *csi.Volume, path string) *csi.NodeGetVolumeStatsRequest {
	return &csi.NodeGetVolumeStatsRequest{VolumeId: v.GetVolumeId(), VolumePath: path}
}

func TestStatsAreThoseOfTheFilesystem(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{BrickSize: 64 << 20})
	r := serve(t, clustersYAML(c.Servers(), name))
	v, err := r.tryCreate(sized(newName(), 32<<20))
	code(t, err, codes.OK)
	pod := r.publish(v, "pod")
	ctx, cancel := r.context()
	defer cancel()
	if err := os.WriteFile(filepath.Join(pod, "f"), make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	response, err := r.node.NodeGetVolumeStats(ctx, statsRequest(v, pod))
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(pod, &st); err != nil {
		t.Fatal(err)
	}
	got := map[csi.VolumeUsage_Unit]*csi.VolumeUsage{}
	for _, usage := range response.GetUsage() {
		got[usage.GetUnit()] = usage
	}
	bytes, inodes := got[csi.VolumeUsage_BYTES], got[csi.VolumeUsage_INODES]
	if total := int64(st.Blocks) * st.Bsize; bytes.GetTotal() != total || total < 60<<20 || bytes.GetUsed() < 8<<20 || bytes.GetAvailable()+bytes.GetUsed() > total {
		t.Errorf("bytes %v, want a total of %d", bytes, total)
	}
	if inodes.GetTotal() != int64(st.Files) || inodes.GetUsed() == 0 || inodes.GetAvailable() != int64(st.Ffree) {
		t.Errorf("inodes %v, want %d in all, %d free", inodes, st.Files, st.Ffree)
	}
	for what, path := range map[string]string{
		"another target": r.target("else"), "a directory of the node": r.dir, "below the target": filepath.Join(pod, "f"), "relative": "pods/pod",
	} {
		_, err := r.node.NodeGetVolumeStats(ctx, statsRequest(v, path))
		if status.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = r.node.NodeGetVolumeStats(ctx, statsRequest(v, ""))
	code(t, err, codes.InvalidArgument, "volume path is missing")
	r.unpublish(v, pod)
	_, err = r.node.NodeGetVolumeStats(ctx, statsRequest(v, pod))
	code(t, err, codes.NotFound, "not published")
	code(t, r.delete(v), codes.OK)
}

func TestStoppedServersDelayNobodyBeyondTheDeadline(t *testing.T) {
	t.Run("one of two", func(t *testing.T) { stoppedServersDelayNobody(t, 1) })
	t.Run("every one", func(t *testing.T) { stoppedServersDelayNobody(t, len(faulty(t).Servers())) })
}

func stoppedServersDelayNobody(t *testing.T, stopped int) {
	t.Helper()
	c := faulty(t)
	r := serve(t, clustersYAML(c.Servers(), "gv1"))
	v := r.create()
	pod, leaving := r.publish(v, "pod"), r.publish(v, "leaving")
	pid := r.pid()
	resume := func() {
		for i := range c.Servers() {
			if err := c.ContinueServer(i); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(resume)
	for i := range stopped {
		if err := c.StopServer(i); err != nil {
			t.Fatal(err)
		}
	}
	const limit = 2 * time.Second
	// An answer counts for a second, so the first questions may still be answered from it.
	call := func(name string, fn func(context.Context) error) {
		t.Helper()
		testcluster.Eventually(t, patience, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			err := fn(ctx)
			if took := time.Since(began); took > limit+time.Second {
				t.Errorf("%s took %v", name, took)
			}
			if got := status.Code(err); got != codes.Unavailable && got != codes.DeadlineExceeded && got != codes.Aborted {
				return fmt.Errorf("%s: %w", name, err)
			}
			if sentence := status.Convert(err).Message(); sentence == context.DeadlineExceeded.Error() {
				t.Errorf("%s does not say why", name)
			}
			return nil
		})
	}
	call("NodeGetVolumeStats", func(ctx context.Context) error {
		_, err := r.node.NodeGetVolumeStats(ctx, statsRequest(v, pod))
		return err
	})
	call("CreateVolume", func(ctx context.Context) error {
		_, err := r.controller.CreateVolume(ctx, request(nameOf(v)))
		return err
	})
	call("DeleteVolume", func(ctx context.Context) error {
		_, err := r.controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: v.GetVolumeId()})
		return err
	})
	call("NodePublishVolume", func(ctx context.Context) error {
		_, err := r.node.NodePublishVolume(ctx, publishRequest(v, r.target("late")))
		return err
	})
	probe, err := r.identity.Probe(t.Context(), &csi.ProbeRequest{})
	if err != nil || !probe.GetReady().GetValue() {
		t.Errorf("Probe: %v, %v; it must not depend on GlusterFS", probe, err)
	}
	began := time.Now()
	r.unpublish(v, leaving)
	if took := time.Since(began); took > limit {
		t.Errorf("NodeUnpublishVolume took %v", took)
	}
	resume()
	if data, err := os.ReadDir(pod); err != nil {
		t.Errorf("the pod: %v, %v", data, err)
	}
	testcluster.Eventually(t, patience, func() error {
		ctx, cancel := r.context()
		defer cancel()
		_, err := r.node.NodeGetVolumeStats(ctx, statsRequest(v, pod))
		return err
	})
	if r.pid() != pid {
		t.Error("the client was replaced")
	}
	r.unpublish(v, pod)
	nothingAt(t, r.target("late"))
	code(t, r.delete(v), codes.OK)
	stored(t, c, "gv1", nameOf(v), trashed(nameOf(v)))
}
