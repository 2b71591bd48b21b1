// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package trash_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestDeleteDoesWhatTheRecordSays(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	for _, test := range []struct {
		onDelete volume.OnDelete
		left     []string
		reaped   []string
	}{
		{volume.Trash, []string{"trash vol"}, []string{"trash vol"}},
		{volume.Delete, []string{"trash vol"}, nil},
		{volume.Retain, []string{"directory vol"}, []string{"directory vol"}},
	} {
		t.Run(string(test.onDelete), func(t *testing.T) {
			wanted := volumes.Spec("vol")
			wanted.OnDelete = test.onDelete
			volumes.Create(t, s, wanted)
			file := filepath.Join(mountpoint, "vol", "dear")
			if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				if err := s.Delete(volumes.Background, "vol"); err != nil {
					t.Fatal(err)
				}
			}
			volumes.Same(t, volumes.Audit(t, mountpoint), test.left...)
			if _, err := s.Trash.Reap(volumes.Background, time.Hour); err != nil {
				t.Error(err)
			}
			volumes.Same(t, volumes.Audit(t, mountpoint), test.reaped...)
			if _, err := s.Trash.Reap(volumes.Background, 0); err != nil {
				t.Error(err)
			}
			if test.onDelete == volume.Retain {
				if data, err := os.ReadFile(file); string(data) != "data" {
					t.Errorf("retained data: %q, %v", data, err)
				}
				_, err := s.Create(wanted)
				volumes.Wants(t, err, volume.ErrForeign)
				if err := os.RemoveAll(filepath.Dir(file)); err != nil {
					t.Fatal(err)
				}
			}
			volumes.Same(t, volumes.Audit(t, mountpoint))
		})
	}
}

func TestAnAdoptedDirectoryOnlyLosesItsRecord(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	if err := os.Mkdir(filepath.Join(mountpoint, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := volume.NewRecord(volumes.Spec("old"))
	r.Origin = volume.Adopted
	volumes.MakeOf(t, s, r)
	if err := s.Delete(volumes.Background, "old"); err != nil {
		t.Fatal(err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory old")
}

func TestRestoreBringsEverythingBack(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	wanted := volumes.Spec("vol")
	wanted.Path, wanted.Owner.UID = "team/vol", volumes.Ptr[uint32](1001)
	before := volumes.Create(t, s, wanted)
	file := filepath.Join(mountpoint, wanted.Path, "dear")
	if err := os.WriteFile(file, []byte("data"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Fatal(err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "trash vol")
	entries, err := s.Trash.TrashEntries()
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Trash.Restore(entries[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	if r.Path != before.Path || !r.Created.Equal(before.Created) {
		t.Errorf("restored record %+v", r)
	}
	if data, err := os.ReadFile(file); string(data) != "data" {
		t.Errorf("restored data %q, %v", data, err)
	}
	if got := volumes.OwnerOf(t, filepath.Dir(file)); got != "1001:0 2770" {
		t.Errorf("restored owner %s", got)
	}
	if again := volumes.Create(t, s, wanted); !again.Created.Equal(before.Created) {
		t.Error("it is another volume now")
	}
	_, err = s.Trash.Restore(entries[0].Name)
	volumes.Wants(t, err, volume.ErrNotFound, "trash list")
}

func TestRestoreReplacesNothing(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Fatal(err)
	}
	entries, err := s.Trash.TrashEntries()
	if err != nil {
		t.Fatal(err)
	}
	name := entries[0].Name

	if err := os.Mkdir(filepath.Join(mountpoint, "vol"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = s.Trash.Restore(name)
	volumes.Wants(t, err, volume.ErrForeign)
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory vol", "trash vol")
	if err := os.Remove(filepath.Join(mountpoint, "vol")); err != nil {
		t.Fatal(err)
	}

	volumes.Create(t, s, volumes.Spec("vol"))
	_, err = s.Trash.Restore(name)
	volumes.Wants(t, err, volume.ErrIncompatible, "delete it first")
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol", "trash vol")

	for _, bad := range []string{"", "..", "vol", "../volumes/vol.json", "vol.20260101T000000.000000000Z/x"} {
		_, err = s.Trash.Restore(bad)
		volumes.Wants(t, err, volume.ErrInvalid)
		volumes.Wants(t, s.Trash.Purge(volumes.Background, bad, &trash.Purging{}), volume.ErrInvalid)
	}
	if err := s.Trash.Purge(volumes.Background, name, &trash.Purging{}); err != nil {
		t.Error(err)
	}
	volumes.Wants(t, s.Trash.Purge(volumes.Background, name, &trash.Purging{}), volume.ErrNotFound)
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
}

func TestTheReaperRemovesOnlyTheDirectoryOfTheRecord(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Fatal(err)
	}
	entries, err := s.Trash.TrashEntries()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(mountpoint, volumes.TrashFile(entries[0].Name))
	blocker := filepath.Join(mountpoint, "vol") // else it would be put back where it seems to come from
	if err := errors.Join(os.Rename(data, data+".other"), os.Mkdir(data, 0o700), os.Mkdir(blocker, 0o700)); err != nil {
		t.Fatal(err)
	}
	n, err := s.Trash.Reap(volumes.Background, 0)
	volumes.Wants(t, err, volume.ErrForeign, entries[0].Name)
	if _, statErr := os.Stat(data); n != 0 || statErr != nil {
		t.Errorf("reaped %d, %v", n, statErr)
	}
	if err := errors.Join(os.Remove(data), os.Remove(blocker), os.Rename(data+".other", data)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint))
}

// What a tenant can leave behind, removed by two reapers at once.
func TestTheReaperRemovesWhateverATenantLeft(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("victim"))
	volumes.Create(t, s, volumes.Spec("vol"))
	vol := filepath.Join(mountpoint, "vol")
	deep, err := os.OpenRoot(vol)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 { // deeper than the remover goes by descriptors
		if err := deep.Mkdir("\xff\n", 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := deep.OpenRoot("\xff\n")
		deep.Close()
		if err != nil {
			t.Fatal(err)
		}
		deep = next
	}
	deep.Close()
	for i := range 120 { // more than one batch
		if err := os.WriteFile(filepath.Join(vol, fmt.Sprint("f", i)), nil, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		os.Symlink("../victim", filepath.Join(vol, "link")), os.Symlink(vol, filepath.Join(vol, "loop")),
		unix.Mkfifo(filepath.Join(vol, "fifo"), 0o600), os.Mkdir(filepath.Join(vol, "closed"), 0),
		os.WriteFile(filepath.Join(vol, "new\nline \xff"), nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Fatal(err)
	}
	// Both find it as a third has left it.
	volumes.StopAt(s, "reap: entry doomed", func(s *lifecycle.Volumes) { _, _ = s.Trash.Reap(volumes.Background, 0) })
	var all sync.WaitGroup
	for range 2 {
		reaper := volumes.Open(t, mountpoint)
		all.Go(func() {
			if _, err := reaper.Trash.Reap(volumes.Background, 0); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow() // thousands of directories are left: audit would list them all
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready victim")
}

// Nobody can unlink what is mounted on, as nobody can what is in split-brain.
func TestAFileThatCannotBeRemovedStopsNothingBesideIt(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	for i := range 100 {
		if err := os.WriteFile(filepath.Join(mountpoint, "vol", fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Fatal(err)
	}
	entries, err := s.Trash.TrashEntries()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(mountpoint, volumes.TrashFile(entries[0].Name))
	stays := filepath.Join(data, "50")
	if err := unix.Mount(stays, stays, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	_, err = s.Trash.Reap(volumes.Background, 0)
	left, readErr := os.ReadDir(data)
	if unmountErr := unix.Unmount(stays, unix.MNT_DETACH); unmountErr != nil || readErr != nil {
		t.Fatal(unmountErr, readErr)
	}
	volumes.Wants(t, err, unix.EBUSY, "pi/gv0", "/50")
	if len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
	if n, err := s.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint))
}

func TestAHugeEntryHoldsUpNoOther(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Trash.Slice = 10
	for name, files := range map[string]int{"huge": 35, "small": 3} {
		volumes.Create(t, s, volumes.Spec(name))
		for i := range files {
			if err := os.Mkdir(filepath.Join(mountpoint, name, fmt.Sprint(i)), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Delete(volumes.Background, name); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Trash.Reap(volumes.Background, 0); n != 1 || err != nil {
		t.Errorf("in the first round %d were reaped, %v", n, err)
	}
	volumes.Same(t, slices.DeleteFunc(volumes.Audit(t, mountpoint), func(found string) bool { return strings.HasPrefix(found, "directory ") }), "doomed huge")
	rounds := 1
	for reaped := 0; reaped == 0; rounds++ {
		var err error
		if reaped, err = s.Trash.Reap(volumes.Background, 0); err != nil || rounds > 10 {
			t.Fatalf("in round %d: %v", rounds, err)
		}
	}
	if rounds < 3 {
		t.Errorf("it was gone after %d rounds", rounds)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint))
}

func TestDeletingForGoodIsNotHeldUpByOlderTrash(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	for _, name := range []string{"trash", "delete"} {
		wanted := volumes.Spec(name)
		wanted.OnDelete = volume.OnDelete(name)
		volumes.Create(t, s, wanted)
		if err := s.Delete(volumes.Background, name); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Trash.Reap(volumes.Background, time.Hour); n != 1 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "trash trash")
}
