// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
)

func TestPublishMendsOnlyWhatWasAskedForByName(t *testing.T) {
	tests := map[string]struct {
		asked Owner
		found string // after an application changed the directory to 7:8 0700
	}{
		"nothing": {Owner{}, "7:8 0700"},
		"uid":     {Owner{UID: ptr[uint32](1001)}, "1001:8 0700"},
		"gid":     {Owner{GID: ptr[uint32](2002)}, "7:2002 0700"},
		"mode":    {Owner{Mode: ptr[Mode](0o2750)}, "7:8 2750"},
	}
	s, mountpoint := storeOf(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wanted := spec(name)
			wanted.Owner = test.asked
			create(t, s, wanted)
			path := filepath.Join(mountpoint, name)
			if err := errors.Join(os.Chown(path, 7, 8), os.Chmod(path, 0o700)); err != nil {
				t.Fatal(err)
			}
			publish(t, s, Access{ID: name, ReadOnly: true})
			if got := owner(t, path); got != "7:8 0700" {
				t.Errorf("a read-only publish made it %s", got)
			}
			publish(t, s, Access{ID: name})
			if got := owner(t, path); got != test.found {
				t.Errorf("it is %s, want %s", got, test.found)
			}
		})
	}
}

func TestPublishOfStaticVolumes(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("vol"))
	for _, dir := range []string{"made/by hand", "vol/sub"} {
		if err := os.MkdirAll(filepath.Join(mountpoint, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if root := publish(t, s, Access{ID: "static", Path: "made/by hand", Owner: Owner{UID: ptr[uint32](1001)}}); root != "/made/by hand" {
		t.Errorf("root %q", root)
	}
	if got := owner(t, filepath.Join(mountpoint, "made/by hand")); got != "1001:0 0755" {
		t.Errorf("the owner is %s", got)
	}
	if root := publish(t, s, Access{ID: "whole", Path: WholePath}); root != "/" {
		t.Errorf("root %q", root)
	}
	for _, test := range []struct {
		access Access
		kind   error
	}{
		{Access{ID: "static"}, ErrNotFound},
		{Access{ID: "static", Path: "nowhere"}, ErrNotFound},
		{Access{ID: "static", Path: "vol"}, ErrForeign},
		{Access{ID: "static", Path: "vol/sub"}, ErrNested},
		{Access{ID: "static", Path: WholePath, Group: ptr[uint32](2002)}, ErrInvalid},
		{Access{ID: "static", Path: "../etc"}, ErrInvalid},
		{Access{ID: "static", Path: "/etc"}, ErrInvalid},
		{Access{ID: "static", Path: ".glusterfs-csi/trash"}, ErrInvalid},
		{Access{ID: "vol", Path: "made"}, ErrInvalid},
	} {
		_, _, err := s.Directory(background, test.access)
		wants(t, err, test.kind)
	}
}

func TestAGroupGetsEverythingAndNoLinkIsFollowed(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("victim"))
	create(t, s, spec("vol"))
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
	dir, _, err := s.Directory(background, Access{ID: "vol", Group: ptr[uint32](2002)})
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()

	// Interrupted, the root does not say that all is done.
	cancelled, cancel := context.WithCancel(background)
	cancel()
	wants(t, s.grantGroup(cancelled, "vol", dir, 2002), context.Canceled)
	if granted, err := tree.Granted(dir, 2002); granted || err != nil {
		t.Fatalf("granted after an interruption, %v", err)
	}
	if err := s.grantGroup(background, "vol", dir, 2002); err != nil {
		t.Fatal(err)
	}
	if granted, err := tree.Granted(dir, 2002); !granted || err != nil {
		t.Fatalf("not granted: %v", err)
	}
	for name, file := range files {
		if got := owner(t, filepath.Join(vol, name)); got != file.want {
			t.Errorf("%s is %s, want %s", name, got, file.want)
		}
	}
	for _, name := range []string{"", "dir", "dir/sub"} {
		if info, err := os.Stat(filepath.Join(vol, name)); err != nil || info.Mode()&os.ModeSetgid == 0 || info.Mode()&0o070 != 0o070 {
			t.Errorf("directory %q: %v %v", name, info.Mode(), err)
		}
	}
	for i := range 100 {
		if got := owner(t, filepath.Join(vol, "dir", fmt.Sprint(i))); got != "0:2002 0660" {
			t.Fatalf("file %d is %s", i, got)
		}
	}
	if got := owner(t, filepath.Join(mountpoint, "victim")); got != "0:0 2770" {
		t.Errorf("behind the link it is %s now", got)
	}
}
