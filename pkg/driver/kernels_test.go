// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
)

// kernelClusters has the clusters file for the process on the old kernel: the servers may
// stay on the new one.
const kernelClusters = "DRIVER_TEST_CLUSTERS"

func TestTheWholeStoryOnOlderKernels(t *testing.T) {
	for _, kernel := range []oldkernel.Kernel{oldkernel.Linux5_4, oldkernel.Linux5_11, oldkernel.Linux6_4} {
		t.Run(kernel.String(), func(t *testing.T) {
			if os.Getenv(kernelClusters) == "" {
				t.Setenv(kernelClusters, clustersYAML(healthy(t).Servers(), "gv0"))
			}
			oldkernel.On(t, kernel, story)
		})
	}
}

func story(t *testing.T) {
	r := serve(t, os.Getenv(kernelClusters))
	name := t.Name()
	v, err := r.tryCreate(request(name, "uid", "1001", "gid", "2002", "path", "old/${pv.name}"))
	if err != nil {
		t.Fatal(err)
	}
	pod := r.publish(v, "pod", as(manyWriters, "noexec"))
	reader := r.publish(v, "reader", readOnly)
	granted := r.publish(v, "granted", group("3003"))
	if got := mountAt(t, pod).Flags; got != mount.NoExec {
		t.Errorf("the pod's mount has %q", got)
	}
	if err := asUser(pod, 1001, 2002, "touch", "f"); err != nil {
		t.Error(err)
	}
	if err := asUser(granted, 1005, 3003, "touch", "g"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(reader, "f"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("a write to a read-only publish: %v", err)
	}
	if err := os.Symlink("../..", filepath.Join(pod, "link")); err != nil {
		t.Fatal(err)
	}
	code(t, r.tryPublish(static("gv0", v.GetVolumeContext()[pathKey]+"/link"), r.target("link")), codes.FailedPrecondition, "symbolic link")
	ctx, cancel := r.context()
	defer cancel()
	stats, err := r.node.NodeGetVolumeStats(ctx, statsRequest(v, pod))
	if err != nil || len(stats.GetUsage()) != 2 {
		t.Errorf("stats %v, %v", stats, err)
	}
	code(t, r.tryPublish(v, pod, as(manyWriters, "noexec")), codes.OK)
	r.unpublish(v, pod, reader, granted)
	code(t, r.delete(v), codes.OK)
	_, err = r.controller.ControllerGetVolume(ctx, getRequest(v))
	code(t, err, codes.NotFound)
}
