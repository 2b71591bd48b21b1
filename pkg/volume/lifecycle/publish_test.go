// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestPublishMendsOnlyWhatWasAskedForByName(t *testing.T) {
	tests := map[string]struct {
		asked volume.Owner
		found string // after an application changed the directory to 7:8 0700
	}{
		"nothing": {volume.Owner{}, "7:8 0700"},
		"uid":     {volume.Owner{UID: volumes.Ptr[uint32](1001)}, "1001:8 0700"},
		"gid":     {volume.Owner{GID: volumes.Ptr[uint32](2002)}, "7:2002 0700"},
		"mode":    {volume.Owner{Mode: volumes.Ptr[volume.Mode](0o2750)}, "7:8 2750"},
	}
	s, mountpoint := volumes.OnGV0(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wanted := volumes.Spec(name)
			wanted.Owner = test.asked
			volumes.Create(t, s, wanted)
			path := filepath.Join(mountpoint, name)
			if err := errors.Join(os.Chown(path, 7, 8), os.Chmod(path, 0o700)); err != nil {
				t.Fatal(err)
			}
			volumes.Publish(t, s, lifecycle.Access{ID: name, ReadOnly: true})
			if got := volumes.OwnerOf(t, path); got != "7:8 0700" {
				t.Errorf("a read-only publish made it %s", got)
			}
			volumes.Publish(t, s, lifecycle.Access{ID: name})
			if got := volumes.OwnerOf(t, path); got != test.found {
				t.Errorf("it is %s, want %s", got, test.found)
			}
		})
	}
}

func TestPublishOfStaticVolumes(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	for _, dir := range []string{"made/by hand", "vol/sub"} {
		if err := os.MkdirAll(filepath.Join(mountpoint, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if root := volumes.Publish(t, s, lifecycle.Access{ID: "static", Path: "made/by hand", Owner: volume.Owner{UID: volumes.Ptr[uint32](1001)}}); root != "/made/by hand" {
		t.Errorf("root %q", root)
	}
	if got := volumes.OwnerOf(t, filepath.Join(mountpoint, "made/by hand")); got != "1001:0 0755" {
		t.Errorf("the owner is %s", got)
	}
	if root := volumes.Publish(t, s, lifecycle.Access{ID: "whole", Path: lifecycle.WholePath}); root != "/" {
		t.Errorf("root %q", root)
	}
	for _, test := range []struct {
		access lifecycle.Access
		kind   error
	}{
		{lifecycle.Access{ID: "static"}, volume.ErrNotFound},
		{lifecycle.Access{ID: "static", Path: "nowhere"}, volume.ErrNotFound},
		{lifecycle.Access{ID: "static", Path: "vol"}, volume.ErrForeign},
		{lifecycle.Access{ID: "static", Path: "vol/sub"}, volume.ErrNested},
		{lifecycle.Access{ID: "static", Path: lifecycle.WholePath, Group: volumes.Ptr[uint32](2002)}, volume.ErrInvalid},
		{lifecycle.Access{ID: "static", Path: "../etc"}, volume.ErrInvalid},
		{lifecycle.Access{ID: "static", Path: "/etc"}, volume.ErrInvalid},
		{lifecycle.Access{ID: "static", Path: ".glusterfs-csi/trash"}, volume.ErrInvalid},
		{lifecycle.Access{ID: "vol", Path: "made"}, volume.ErrInvalid},
	} {
		_, _, err := s.Directory(volumes.Background, test.access)
		volumes.Wants(t, err, test.kind)
	}
}

// What is published without a record is what is at the path when it is known that there is none.
func TestADirectoryThatIsDeletedMeanwhileIsNotPublishedAsNobodys(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, "vol", "secret"), nil, 0o600))
	s.Step = func(point string) {
		if point == "publish: directory opened" {
			volumes.Must(t, volumes.Open(t, mountpoint).Delete(volumes.Background, "vol"), os.Mkdir(filepath.Join(mountpoint, "vol"), 0o755))
		}
	}
	dir, _, err := s.Directory(volumes.Background, lifecycle.Access{ID: "static", Path: "vol"})
	volumes.Must(t, err)
	defer dir.Close()
	if names, err := dir.Names(0); err != nil || len(names) > 0 {
		t.Errorf("in it is %q, %v", names, err)
	}
}

// The kernel of a node believes what it knew of a name; here for longer than the test may take.
func TestANodeDoesNotPublishAsNobodysWhatIsInTheTrash(t *testing.T) {
	c, name, controllers := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{})
	m, err := c.Mount(t.Context(), name, "--entry-timeout=600")
	volumes.Must(t, err)
	defer func() { volumes.Must(t, m.Close()) }()
	node, closeNode, err := volumes.OpenStore(m.Path)
	volumes.Must(t, err)
	defer closeNode()
	controller := volumes.Open(t, controllers)
	for id, path := range map[string]string{"vol": "vol", "above": "above/sub/deep"} {
		volumes.Create(t, controller, volumes.Spec(id))
		volumes.Must(t, os.MkdirAll(filepath.Join(controllers, path), 0o755))
		node.Step = func(point string) {
			if point == "publish: directory opened" {
				volumes.Must(t, controller.Delete(volumes.Background, id))
			}
		}
		_, _, err = node.Directory(volumes.Background, lifecycle.Access{ID: "static", Path: path})
		volumes.Wants(t, err, volume.ErrBusy, "directory "+id, "just deleted")
	}
	node.Step = func(string) {}
	for _, odd := range []string{"a<POSIX(x):h:y>", "vol.20261127T165023.000000000Z"} { // which a brick's answer may be misread for
		volumes.Must(t, os.Mkdir(filepath.Join(controllers, odd), 0o755))
		volumes.Publish(t, node, lifecycle.Access{ID: "static", Path: odd})
	}
}

func TestAGroupGetsEverythingAndNoLinkIsFollowed(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("victim"))
	volumes.Create(t, s, volumes.Spec("vol"))
	vol := filepath.Join(mountpoint, "vol")
	files := map[string]struct {
		mode uint32
		want string
	}{
		"a":         {0o600, "5:2002 0660"},
		"program":   {0o4711, "5:2002 4771"},
		"open":      {0o666, "5:2002 0666"},
		"dir/b":     {0o400, "5:2002 0460"},
		"dir/sub/c": {0o640, "5:2002 0660"},
	}
	if err := os.MkdirAll(filepath.Join(vol, "dir/sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, file := range files {
		path := filepath.Join(vol, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), unix.Chown(path, 5, 5), unix.Chmod(path, file.mode)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if err := os.WriteFile(filepath.Join(vol, "dir", fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("../victim", filepath.Join(vol, "link")), unix.Mkfifo(filepath.Join(vol, "fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	dir, _, err := s.Directory(volumes.Background, lifecycle.Access{ID: "vol", Group: volumes.Ptr[uint32](2002)})
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()

	// Interrupted, the root does not say that all is done.
	cancelled, cancel := context.WithCancel(volumes.Background)
	cancel()
	volumes.Wants(t, s.GrantGroup(cancelled, "vol", dir, 2002), context.Canceled)
	if granted, err := tree.Granted(dir, 2002); granted || err != nil {
		t.Fatalf("granted after an interruption, %v", err)
	}
	if err := s.GrantGroup(volumes.Background, "vol", dir, 2002); err != nil {
		t.Fatal(err)
	}
	if granted, err := tree.Granted(dir, 2002); !granted || err != nil {
		t.Fatalf("not granted: %v", err)
	}
	for name, file := range files {
		if got := volumes.OwnerOf(t, filepath.Join(vol, name)); got != file.want {
			t.Errorf("%s is %s, want %s", name, got, file.want)
		}
	}
	for _, name := range []string{"", "dir", "dir/sub"} {
		if info, err := os.Stat(filepath.Join(vol, name)); err != nil || info.Mode()&os.ModeSetgid == 0 || info.Mode()&0o070 != 0o070 {
			t.Errorf("directory %q: %v %v", name, info.Mode(), err)
		}
	}
	for i := range 100 {
		if got := volumes.OwnerOf(t, filepath.Join(vol, "dir", fmt.Sprint(i))); got != "0:2002 0660" {
			t.Fatalf("file %d is %s", i, got)
		}
	}
	if got := volumes.OwnerOf(t, filepath.Join(mountpoint, "victim")); got != "0:0 2770" {
		t.Errorf("behind the link it is %s now", got)
	}
}
