// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestASingleWriterHasOneTargetOnTheNode(t *testing.T) {
	const single = csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER
	r := onGV0(t)
	v := r.create()
	pod := r.publish(v, "pod", as(single))
	code(t, r.tryPublish(v, r.target("second"), as(single)), codes.FailedPrecondition, "ReadWriteOncePod", pod)
	nothingAt(t, r.target("second"))
	code(t, r.tryPublish(v, pod, as(single)), codes.OK)
	mountAt(t, pod) // once

	// What kubelet binds for a subPath is part of its pod.
	subPath := filepath.Join(r.dir, "pods", "volume-subpaths", "data", "container", "0")
	if err := os.MkdirAll(subPath, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(pod, subPath, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	code(t, r.tryPublish(v, pod, as(single)), codes.OK)
	if err := mount.Detach(subPath); err != nil {
		t.Fatal(err)
	}
	r.unpublish(v, pod)
	next := r.publish(v, "next", as(single))
	r.unpublish(v, next)

	// Other modes share the node, and a target of theirs counts for one that does not.
	first := r.publish(v, "first", as(csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER))
	also := r.publish(v, "also", as(csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER))
	code(t, r.tryPublish(v, r.target("alone"), as(single)), codes.FailedPrecondition, "ReadWriteOncePod")
	r.unpublish(v, first, also)
	code(t, r.delete(v), codes.OK)
}

// TestAMountOfSomebodyElseIsNotTheDrivers: an operator's own mount of the Gluster volume is no pod's, and is not covered like that of a
// client that died.
func TestAMountOfSomebodyElseIsNotTheDrivers(t *testing.T) {
	r := onGV0(t)
	v := r.create()
	own, err := testcluster.Shared(t, testcluster.Options{}).Mount(t.Context(), "gv0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(); err != nil {
			t.Error(err)
		}
	})
	bind := func(target string) {
		t.Helper()
		err := errors.Join(os.MkdirAll(target, 0o755), unix.Mount(filepath.Join(own.Path, v.GetVolumeContext()["path"]), target, "", unix.MS_BIND, ""))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := mount.Detach(target); err != nil {
				t.Error(err)
			}
		})
	}
	bind(filepath.Join(r.dir, "elsewhere"))
	pod := r.publish(v, "pod", as(csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER))
	r.unpublish(v, pod)

	taken := r.target("taken")
	bind(taken)
	code(t, r.tryPublish(v, taken), codes.Aborted, "shows something else")
	mountAt(t, taken) // the operator's alone
	if err := mount.Detach(taken); err != nil {
		t.Fatal(err)
	}
	code(t, r.delete(v), codes.OK)
}

func TestReadersCannotWrite(t *testing.T) {
	r := onGV0(t)
	v := r.create("uid", "1001")
	writer := r.publish(v, "writer")
	file := filepath.Join(writer, "f")
	if err := os.WriteFile(file, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]how{
		"SINGLE_NODE_READER_ONLY": as(csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY),
		"MULTI_NODE_READER_ONLY":  as(csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY),
		"readonly":                readOnly,
		"mount option ro":         as(manyWriters, "ro"),
	} {
		t.Run(name, func(t *testing.T) {
			pod := r.publish(v, "reader", change)
			if name != "readonly" { // which container runtimes are told, too
				remountWritable(t, pod)
			}
			for what, err := range map[string]error{
				"create": os.WriteFile(filepath.Join(pod, "new"), nil, 0o600),
				"write":  os.WriteFile(filepath.Join(pod, "f"), nil, 0o600),
				"mkdir":  os.Mkdir(filepath.Join(pod, "dir"), 0o755),
				"chmod":  os.Chmod(pod, 0o777),
				"remove": os.Remove(filepath.Join(pod, "f")),
			} {
				if !errors.Is(err, unix.EROFS) {
					t.Errorf("%s: %v, want EROFS", what, err)
				}
			}
			if data, err := os.ReadFile(filepath.Join(pod, "f")); string(data) != "x" {
				t.Errorf("read %q, %v", data, err)
			}
			r.unpublish(v, pod)
		})
	}
	if err := os.WriteFile(file, []byte("y"), 0o600); err != nil {
		t.Errorf("the writer beside them: %v", err)
	}
	r.unpublish(v, writer)
	code(t, r.delete(v), codes.OK)
}

// remountWritable does to a bind mount what a container runtime does that is told nothing of read-only.
func remountWritable(t *testing.T, pod string) {
	t.Helper()
	if err := unix.Mount("", pod, "", unix.MS_BIND|unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
}

func TestMountOptions(t *testing.T) {
	r := onGV0(t)
	v := r.create()
	for option, want := range map[string]mount.Flags{
		"noexec": mount.NoExec, "nosuid": mount.NoSuid, "nodev": mount.NoDev, "noatime": mount.NoAtime, "rw": 0,
	} {
		pod := r.publish(v, "pod", as(manyWriters, option))
		if got := mountAt(t, pod).Flags; got != want {
			t.Errorf("%s gives %q", option, got)
		}
		r.unpublish(v, pod)
	}
	all := r.publish(v, "all", as(manyWriters, "noexec", "nosuid", "nodev", "noatime"), readOnly)
	if got, want := mountAt(t, all).Flags, mount.ReadOnly|mount.NoExec|mount.NoSuid|mount.NoDev|mount.NoAtime; got != want {
		t.Errorf("all together give %q, want %q", got, want)
	}
	r.pid() // bind flags need no client of their own
	withACL, again := r.publish(v, "acl", as(manyWriters, "acl", "noexec")), r.publish(v, "again", as(manyWriters, "acl"))
	clients := r.host.Clients()
	if len(clients) != 2 || mountAt(t, withACL).Device == mountAt(t, all).Device || mountAt(t, withACL).Device != mountAt(t, again).Device {
		t.Errorf("clients %+v, want one more for acl and no other", clients)
	}
	for option, says := range map[string]string{"acll": "did you mean acl", "acl=on": "takes no value", "defaults": "the options for clients are", "xlator-option=*.x=y": "xlator-option"} {
		code(t, r.tryPublish(v, r.target("bad"), as(manyWriters, option)), codes.InvalidArgument, says)
		nothingAt(t, r.target("bad"))
	}
	r.unpublish(v, all, withACL, again)
	code(t, r.delete(v), codes.OK)
}

func TestCapabilitiesThatCannotBePublished(t *testing.T) {
	r := onGV0(t)
	v := r.create()
	for name, test := range map[string]struct {
		change how
		says   string
	}{
		"block": {func(request *csi.NodePublishVolumeRequest) {
			request.VolumeCapability.AccessType = &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}
		}, "volumeMode: Filesystem"},
		"none":            {func(request *csi.NodePublishVolumeRequest) { request.VolumeCapability = nil }, "capability is missing"},
		"no access type":  {func(request *csi.NodePublishVolumeRequest) { request.VolumeCapability.AccessType = nil }, "no access type"},
		"an unknown mode": {as(csi.VolumeCapability_AccessMode_UNKNOWN), "access mode"},
		"a group by name": {group("staff"), `"staff"`},
		"an attribute": {func(request *csi.NodePublishVolumeRequest) {
			request.VolumeContext = map[string]string{"pth": "x"}
		}, `did you mean "path"`},
		"another path": {func(request *csi.NodePublishVolumeRequest) {
			request.VolumeContext = map[string]string{"path": "other"}
		}, "its path is"},
	} {
		t.Run(name, func(t *testing.T) {
			code(t, r.tryPublish(v, r.target("pod"), test.change), codes.InvalidArgument, test.says)
			nothingAt(t, r.target("pod"))
		})
	}
	code(t, r.delete(v), codes.OK)
}
