// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// TestNothingIsMadeForAMoveToReplace: a directory that is renamed onto an empty one is lost where another client looks its name up at that
// moment, about once in a thousand times: GlusterFS 10.3 gives the name that went back on one brick, so that the directory has two names, or
// the name has two directories. Moved to where nothing is, it was not in 1,900 times.
func TestNothingIsMadeForAMoveToReplace(t *testing.T) {
	c, name, at := volumes.TwoClients(t, testcluster.VolumeOptions{})
	s := volumes.Open(t, at[0])
	volumes.Create(t, s, volume.Spec{Name: "other", Path: "team/app/other"}) // whose parents stay
	place := filepath.Join(c.BrickPath(name, 0), "team/app")
	check := func(what string, move func() error) {
		t.Helper()
		made, moved := watch(t, place, unix.IN_CREATE), watch(t, place, unix.IN_MOVED_TO)
		volumes.Must(t, move())
		if names := made(); slices.Contains(names, "vol") {
			t.Errorf("%s: there were made %q", what, names)
		}
		if names := moved(); !slices.Contains(names, "vol") {
			t.Errorf("%s: there were moved %q", what, names)
		}
		volumes.Must(t, s.Delete(volumes.Background, "vol"))
	}
	volumes.Must(t, makeCopy(s))
	check("a clone", func() error { return createSpec(cloned())(s) })
	check("a restoration", func() error {
		entries, err := s.Trash.TrashEntries()
		if err == nil {
			_, err = s.Trash.Restore(entries[0].Name)
		}
		return err
	})
}

// watch returns what tells the names in a directory of which there were such events since.
func watch(t *testing.T, dir string, events uint32) (names func() []string) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	volumes.Must(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	_, err = unix.InotifyAddWatch(fd, dir, events)
	volumes.Must(t, err)
	return func() (names []string) {
		buffer := make([]byte, 64<<10)
		n, err := unix.Read(fd, buffer)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		volumes.Must(t, err)
		for rest := buffer[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(rest[unix.SizeofInotifyEvent-4:]))
			name, _, _ := bytes.Cut(rest[unix.SizeofInotifyEvent:end], []byte{0})
			names = append(names, string(name))
			rest = rest[end:]
		}
		return names
	}
}
