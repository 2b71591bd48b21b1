// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestVolumeHasTheOwnerAndModeAskedFor(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	tests := map[string]struct {
		owner volume.Owner
		want  string
	}{
		"nothing":    {volume.Owner{}, "0:0 2770"},
		"uid":        {volume.Owner{UID: volumes.Ptr[uint32](1001)}, "1001:0 2770"},
		"everything": {volume.Owner{UID: volumes.Ptr[uint32](1001), GID: volumes.Ptr[uint32](2002), Mode: volumes.Ptr[volume.Mode](0o750)}, "1001:2002 0750"},
		"largest":    {volume.Owner{UID: volumes.Ptr[uint32](1<<32 - 2)}, "4294967294:0 2770"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := volumes.Spec(name)
			spec.Owner = test.owner
			volumes.Create(t, s, spec)
			if got := volumes.OwnerOf(t, filepath.Join(mountpoint, name)); got != test.want {
				t.Errorf("the directory is %s, want %s", got, test.want)
			}
		})
	}
	if got := volumes.OwnerOf(t, filepath.Join(mountpoint, volume.OwnDir)); got != "0:0 0700" {
		t.Errorf("%s is %s", volume.OwnDir, got)
	}
}

func TestCreateIsIdempotentAndRefusesOtherProperties(t *testing.T) {
	t.Run("of a driver that has just started", func(t *testing.T) {
		s, mountpoint := volumes.OnGV0(t)
		createAgain(t, s, mountpoint)
	})
	t.Run("of one that has reconciled", func(t *testing.T) {
		s, mountpoint := volumes.OnGV0(t)
		createAgain(t, volumes.Reconciled(s), mountpoint)
	})
}

func createAgain(t *testing.T, s *lifecycle.Volumes, mountpoint string) {
	t.Helper()
	first := volumes.Create(t, s, volumes.Spec("a"))
	for range 10 {
		if again := volumes.Create(t, s, volumes.Spec("a")); again.Created != first.Created {
			t.Error("made again")
		}
	}
	change := map[string]func(*volume.Spec){
		"path":        func(s *volume.Spec) { s.Path = "b" },
		"capacity":    func(s *volume.Spec) { s.Required *= 2 },
		"at most":     func(s *volume.Spec) { s.Required, s.Limit = 0, 1 },
		"onDelete":    func(s *volume.Spec) { s.OnDelete = volume.Retain },
		"owner":       func(s *volume.Spec) { s.Owner.UID = volumes.Ptr[uint32](1) },
		"mode=0700":   func(s *volume.Spec) { s.Owner.Mode = volumes.Ptr[volume.Mode](0o700) },
		"gid=0":       func(s *volume.Spec) { s.Owner.GID = volumes.Ptr[uint32](0) },
		"at least 21": func(s *volume.Spec) { s.Required = 1<<31 + 1 },
	}
	for word, f := range change {
		spec := volumes.Spec("a")
		f(&spec)
		_, err := s.Create(spec)
		volumes.Wants(t, err, volume.ErrIncompatible, word)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready a")
	if left := volumes.FirstNames(t, mountpoint); len(left) > 0 {
		t.Errorf("left of claims is %q", left)
	}
}

func TestTwoControllersMakeOneVolume(t *testing.T) {
	_, _, mountpoints := volumes.TwoClients(t, testcluster.VolumeOptions{})
	for round := range 5 {
		want := volumes.Spec(fmt.Sprintf("vol%d", round))
		want.Path = fmt.Sprintf("parent%d/%s", round, want.Name)
		var all sync.WaitGroup
		errs := make([]error, 2)
		for i, mountpoint := range mountpoints {
			s := volumes.Open(t, mountpoint)
			all.Go(func() { _, errs[i] = s.Create(want) })
		}
		all.Wait()
		for _, err := range errs {
			// A client trusts for a second what it has just seen of the other's work.
			if err != nil && !errors.Is(err, volume.ErrBusy) && !errors.Is(err, volume.ErrDisconnected) {
				t.Error(err)
			}
		}
		// What a provisioner does then.
		testcluster.Eventually(t, 10*time.Second, func() error {
			_, err := volumes.Open(t, mountpoints[1]).Create(want)
			return err
		})
		testcluster.Eventually(t, 10*time.Second, func() error { // for the same reason
			_, err := os.Stat(filepath.Join(mountpoints[0], want.Path))
			return err
		})
		volumes.Audit(t, mountpoints[0])
	}
}

func TestVolumesNeverNest(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	outer := volumes.Spec("outer")
	outer.Path = "dir/outer"
	volumes.Create(t, s, outer)

	inner := volumes.Spec("inner")
	inner.Path = "dir/outer/inner"
	_, err := s.Create(inner)
	volumes.Wants(t, err, volume.ErrNested, "dir/outer", "outer")

	around := volumes.Spec("around")
	around.Path = "dir"
	_, err = s.Create(around)
	volumes.Wants(t, err, volume.ErrForeign, "dir")

	taken := volumes.Spec("taken")
	taken.Path = outer.Path
	_, err = s.Create(taken)
	volumes.Wants(t, err, volume.ErrForeign, "outer", "taken")
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory dir", "ready outer")

	if err := s.Delete(volumes.Background, "outer"); err != nil {
		t.Fatal(err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "trash outer") // its parent went with it
}

func TestVolumesMadeWithinEachOtherAtOnceEndApart(t *testing.T) {
	_, mountpoint := volumes.OnGV0(t)
	for round := range 10 {
		outer, inner := volumes.Spec(fmt.Sprintf("outer%d", round)), volumes.Spec(fmt.Sprintf("inner%d", round))
		inner.Path = outer.Path + "/" + inner.Name
		errs := make([]error, 2)
		var all sync.WaitGroup
		for i, spec := range []volume.Spec{outer, inner} {
			s := volumes.Open(t, mountpoint)
			all.Go(func() { _, errs[i] = s.Create(spec) })
		}
		all.Wait()
		if errs[0] == nil && errs[1] == nil {
			t.Errorf("round %d: both were made", round)
		}
		// A claim that one gives up while the other has it aside, to look whose it is, is put back: it is the reconciler's to settle.
		s := volumes.Open(t, mountpoint)
		s.Abandoned = 0
		volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
		volumes.Audit(t, mountpoint)
	}
}

func TestADirectoryThatWasThereIsRefused(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	path := filepath.Join(mountpoint, "mine")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "data"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.Create(volumes.Spec("mine"))
	volumes.Wants(t, err, volume.ErrForeign, "mine", "was there before", "PersistentVolume")
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory mine")
	if got := volumes.OwnerOf(t, path); got != "0:0 0755" {
		t.Errorf("it is %s now", got)
	}
	// A directory that a pod made in the volume's place is not deleted either.
	volumes.Create(t, s, volumes.Spec("vol"))
	vol := filepath.Join(mountpoint, "vol")
	if err := errors.Join(os.Rename(vol, vol+".moved"), os.Mkdir(vol, 0o755)); err != nil {
		t.Fatal(err)
	}
	volumes.Wants(t, s.Delete(volumes.Background, "vol"), volume.ErrForeign)
	if err := errors.Join(os.Remove(vol), os.Rename(vol+".moved", vol)); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Error(err)
	}
}

// A link planted at every component, by a pod that has the parent as its volume.
func TestLinksAreNeverFollowed(t *testing.T) { linksAreNeverFollowed(t) }

func linksAreNeverFollowed(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	victim := volumes.Create(t, s, volumes.Spec("victim"))
	outside := t.TempDir()
	plant := map[string]struct{ link, to, path string }{
		"first component, into another volume":   {"l1", "victim", "l1/new"},
		"first component, absolute":              {"l2", outside, "l2/new"},
		"middle component":                       {"dir/l3", "../victim", "dir/l3/new"},
		"last component, into another volume":    {"l4", "victim", "l4"},
		"last component, dangling":               {"l5", "nowhere", "l5"},
		"first component, to the driver's own":   {"l6", volume.OwnDir, "l6/new"},
		"first component, a magic link of /proc": {"l7", "/proc/self/root/tmp", "l7/new"},
	}
	if err := os.Mkdir(filepath.Join(mountpoint, "dir"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, test := range plant {
		t.Run(name, func(t *testing.T) {
			if err := os.Symlink(test.to, filepath.Join(mountpoint, test.link)); err != nil {
				t.Fatal(err)
			}
			spec := volumes.Spec("new")
			spec.Path, spec.Owner.UID = test.path, volumes.Ptr[uint32](666)
			if _, err := s.Create(spec); !errors.Is(err, volume.ErrForeign) && !errors.Is(err, volume.ErrInvalid) {
				t.Errorf("create: %v", err)
			}
			_, _, err := s.Directory(volumes.Background, lifecycle.Access{ID: "static", Path: test.path, Owner: spec.Owner})
			if !errors.Is(err, volume.ErrForeign) {
				t.Errorf("publish: %v", err)
			}
			if err := os.Remove(filepath.Join(mountpoint, test.link)); err != nil {
				t.Error(err)
			}
		})
	}
	if got := volumes.OwnerOf(t, filepath.Join(mountpoint, victim.Path)); got != "0:0 2770" {
		t.Errorf("the other volume is %s now", got)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready victim", "directory dir")
}

func TestAVolumeReplacedByALinkIsNeitherPublishedNorDeleted(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("victim"))
	volumes.Create(t, s, volumes.Spec("vol"))
	vol := filepath.Join(mountpoint, "vol")
	if err := errors.Join(os.Rename(vol, filepath.Join(mountpoint, "aside")), os.Symlink("victim", vol)); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Directory(volumes.Background, lifecycle.Access{ID: "vol"})
	volumes.Wants(t, err, volume.ErrForeign)
	volumes.Wants(t, s.Delete(volumes.Background, "vol"), volume.ErrForeign)
	if _, err := os.Stat(filepath.Join(mountpoint, "victim")); err != nil {
		t.Error(err)
	}
}

func TestRootSquashAndReadOnlySayWhatToDo(t *testing.T) {
	c, name, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{})
	s := volumes.Open(t, mountpoint)
	volumes.Create(t, s, volumes.Spec("before"))
	for _, test := range []struct {
		option string
		kind   error
	}{{"server.root-squash", volume.ErrRefused}, {"features.read-only", volume.ErrReadOnly}} {
		t.Run(test.option, func(t *testing.T) {
			if err := c.SetOption(name, test.option, "on"); err != nil {
				t.Fatal(err)
			}
			wanted := volumes.Spec("during")
			wanted.Owner.UID = volumes.Ptr[uint32](1001)
			testcluster.Eventually(t, 10*time.Second, func() error {
				_, err := volumes.Open(t, mountpoint).Create(wanted)
				if !errors.Is(err, test.kind) {
					return fmt.Errorf("want an error that is %w: %w", test.kind, err)
				}
				if !strings.Contains(err.Error(), test.option) {
					return fmt.Errorf("the error does not name the option: %w", err)
				}
				return nil
			})
			if err := c.SetOption(name, test.option, "off"); err != nil {
				t.Fatal(err)
			}
			testcluster.Eventually(t, 10*time.Second, func() error {
				s := volumes.Open(t, mountpoint)
				_, err := s.Create(wanted)
				if err == nil {
					err = s.Delete(volumes.Background, "during")
				}
				return err
			})
		})
	}
}

func TestASlowCreationDoesNotBringBackADeletedVolume(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Step = func(point string) {
		if point == "create: mode set" {
			other := volumes.Open(t, mountpoint)
			volumes.Wants(t, other.Delete(volumes.Background, "slow"), volume.ErrBusy)
			other.Recent = 0
			if err := other.Delete(volumes.Background, "slow"); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := s.Create(volumes.Spec("slow"))
	volumes.Wants(t, err, volume.ErrBusy)
	volumes.Same(t, volumes.Audit(t, mountpoint))
}

func TestReconcileLeavesAloneWhatIsInUse(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Step = func(point string) {
		if point != "create: mode set" {
			return
		}
		other := volumes.Open(t, mountpoint)
		other.Abandoned = 0
		if err := other.Reconcile(volumes.Background, func(string) (func(), bool) { return nil, false }); err != nil {
			t.Error(err)
		}
	}
	volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
}
