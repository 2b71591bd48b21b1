// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestVolumeHasTheOwnerAndModeAskedFor(t *testing.T) {
	s, mountpoint := storeOf(t)
	tests := map[string]struct {
		owner Owner
		want  string
	}{
		"nothing":    {Owner{}, "0:0 2770"},
		"uid":        {Owner{UID: ptr[uint32](1001)}, "1001:0 2770"},
		"everything": {Owner{ptr[uint32](1001), ptr[uint32](2002), ptr[Mode](0o750)}, "1001:2002 0750"},
		"largest":    {Owner{UID: ptr[uint32](1<<32 - 2)}, "4294967294:0 2770"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := spec(name)
			spec.Owner = test.owner
			create(t, s, spec)
			if got := owner(t, filepath.Join(mountpoint, name)); got != test.want {
				t.Errorf("the directory is %s, want %s", got, test.want)
			}
		})
	}
	if got := owner(t, filepath.Join(mountpoint, ownDir)); got != "0:0 0700" {
		t.Errorf("%s is %s", ownDir, got)
	}
}

func TestCreateIsIdempotentAndRefusesOtherProperties(t *testing.T) {
	s, mountpoint := storeOf(t)
	first := create(t, s, spec("a"))
	for range 10 {
		if again := create(t, s, spec("a")); again.Created != first.Created {
			t.Error("made again")
		}
	}
	change := map[string]func(*Spec){
		"path":        func(s *Spec) { s.Path = "b" },
		"capacity":    func(s *Spec) { s.Required *= 2 },
		"at most":     func(s *Spec) { s.Required, s.Limit = 0, 1 },
		"onDelete":    func(s *Spec) { s.OnDelete = Retain },
		"owner":       func(s *Spec) { s.Owner.UID = ptr[uint32](1) },
		"mode=0700":   func(s *Spec) { s.Owner.Mode = ptr[Mode](0o700) },
		"gid=0":       func(s *Spec) { s.Owner.GID = ptr[uint32](0) },
		"at least 21": func(s *Spec) { s.Required = 1<<31 + 1 },
	}
	for word, f := range change {
		spec := spec("a")
		f(&spec)
		_, err := s.Create(spec)
		wants(t, err, ErrIncompatible, word)
	}
	same(t, audit(t, mountpoint), "ready a")
}

func TestTwoControllersMakeOneVolume(t *testing.T) {
	c, name, mountpoint := fresh(t, testcluster.VolumeOptions{})
	// A second client, on the same Gluster volume, is what a second controller has.
	m, err := c.Mount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	for round := range 5 {
		want := spec(fmt.Sprintf("vol%d", round))
		want.Path = fmt.Sprintf("parent%d/%s", round, want.Name)
		var all sync.WaitGroup
		errs := make([]error, 2)
		for i, mountpoint := range []string{mountpoint, m.Path} {
			s := open(t, mountpoint)
			all.Go(func() { _, errs[i] = s.Create(want) })
		}
		all.Wait()
		for _, err := range errs {
			// A client trusts for a second what it has just seen of the other's work.
			if err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrDisconnected) {
				t.Error(err)
			}
		}
		// What a provisioner does then.
		testcluster.Eventually(t, 10*time.Second, func() error {
			_, err := open(t, m.Path).Create(want)
			return err
		})
		testcluster.Eventually(t, 10*time.Second, func() error { // for the same reason
			_, err := os.Stat(filepath.Join(mountpoint, want.Path))
			return err
		})
		audit(t, mountpoint)
	}
}

func TestVolumesNeverNest(t *testing.T) {
	s, mountpoint := storeOf(t)
	outer := spec("outer")
	outer.Path = "dir/outer"
	create(t, s, outer)

	inner := spec("inner")
	inner.Path = "dir/outer/inner"
	_, err := s.Create(inner)
	wants(t, err, ErrNested, "dir/outer", "outer")

	around := spec("around")
	around.Path = "dir"
	_, err = s.Create(around)
	wants(t, err, ErrForeign, "dir")

	taken := spec("taken")
	taken.Path = outer.Path
	_, err = s.Create(taken)
	wants(t, err, ErrForeign, "outer", "taken")
	same(t, audit(t, mountpoint), "directory dir", "ready outer")

	if err := s.Delete(background, "outer"); err != nil {
		t.Fatal(err)
	}
	same(t, audit(t, mountpoint), "trash outer") // its parent went with it
}

func TestVolumesMadeWithinEachOtherAtOnceEndApart(t *testing.T) {
	_, mountpoint := storeOf(t)
	for round := range 10 {
		outer, inner := spec(fmt.Sprintf("outer%d", round)), spec(fmt.Sprintf("inner%d", round))
		inner.Path = outer.Path + "/" + inner.Name
		errs := make([]error, 2)
		var all sync.WaitGroup
		for i, spec := range []Spec{outer, inner} {
			s := open(t, mountpoint)
			all.Go(func() { _, errs[i] = s.Create(spec) })
		}
		all.Wait()
		if errs[0] == nil && errs[1] == nil {
			t.Errorf("round %d: both were made", round)
		}
		audit(t, mountpoint)
	}
}

func TestADirectoryThatWasThereIsRefused(t *testing.T) {
	s, mountpoint := storeOf(t)
	path := filepath.Join(mountpoint, "mine")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "data"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.Create(spec("mine"))
	wants(t, err, ErrForeign, "mine", "was there before", "PersistentVolume")
	same(t, audit(t, mountpoint), "directory mine")
	if got := owner(t, path); got != "0:0 0755" {
		t.Errorf("it is %s now", got)
	}
	// A directory that a pod made in the volume's place is not deleted either.
	create(t, s, spec("vol"))
	vol := filepath.Join(mountpoint, "vol")
	if err := errors.Join(os.Rename(vol, vol+".moved"), os.Mkdir(vol, 0o755)); err != nil {
		t.Fatal(err)
	}
	wants(t, s.Delete(background, "vol"), ErrForeign)
	if err := errors.Join(os.Remove(vol), os.Rename(vol+".moved", vol)); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(background, "vol"); err != nil {
		t.Error(err)
	}
}

// A link planted at every component, by a pod that has the parent as its volume.
func TestLinksAreNeverFollowed(t *testing.T) { linksAreNeverFollowed(t) }

func linksAreNeverFollowed(t *testing.T) {
	s, mountpoint := storeOf(t)
	victim := create(t, s, spec("victim"))
	outside := t.TempDir()
	plant := map[string]struct{ link, to, path string }{
		"first component, into another volume":   {"l1", "victim", "l1/new"},
		"first component, absolute":              {"l2", outside, "l2/new"},
		"middle component":                       {"dir/l3", "../victim", "dir/l3/new"},
		"last component, into another volume":    {"l4", "victim", "l4"},
		"last component, dangling":               {"l5", "nowhere", "l5"},
		"first component, to the driver's own":   {"l6", ownDir, "l6/new"},
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
			spec := spec("new")
			spec.Path, spec.Owner.UID = test.path, ptr[uint32](666)
			if _, err := s.Create(spec); !errors.Is(err, ErrForeign) && !errors.Is(err, ErrInvalid) {
				t.Errorf("create: %v", err)
			}
			_, _, err := s.Directory(background, Access{ID: "static", Path: test.path, Owner: spec.Owner})
			if !errors.Is(err, ErrForeign) {
				t.Errorf("publish: %v", err)
			}
			if err := os.Remove(filepath.Join(mountpoint, test.link)); err != nil {
				t.Error(err)
			}
		})
	}
	if got := owner(t, filepath.Join(mountpoint, victim.Path)); got != "0:0 2770" {
		t.Errorf("the other volume is %s now", got)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
	same(t, audit(t, mountpoint), "ready victim", "directory dir")
}

func TestAVolumeReplacedByALinkIsNeitherPublishedNorDeleted(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("victim"))
	create(t, s, spec("vol"))
	vol := filepath.Join(mountpoint, "vol")
	if err := errors.Join(os.Rename(vol, filepath.Join(mountpoint, "aside")), os.Symlink("victim", vol)); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Directory(background, Access{ID: "vol"})
	wants(t, err, ErrForeign)
	wants(t, s.Delete(background, "vol"), ErrForeign)
	if _, err := os.Stat(filepath.Join(mountpoint, "victim")); err != nil {
		t.Error(err)
	}
}

func TestListReadsPagesInOrder(t *testing.T) {
	s, _ := storeOf(t)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("v%d", i)
		create(t, s, spec(name))
		want = append(want, name)
	}
	slices.SortFunc(want, func(a, b string) int { return cmp.Or(cmp.Compare(shardOf(a), shardOf(b)), cmp.Compare(a, b)) })
	var got []string
	pages := 0
	for after := ""; ; pages++ {
		page, err := s.List(after, 3)
		if err != nil || page.Damaged != nil {
			t.Fatal(err, page.Damaged)
		}
		for _, r := range page.Records {
			got = append(got, r.ID)
		}
		if page.Next == "" {
			break
		}
		after = page.Next
	}
	if strings.Join(got, " ") != strings.Join(want, " ") || pages != 2 {
		t.Errorf("got %q in %d pages", got, pages+1)
	}
}

func TestADamagedRecordIsNamedAndHidesNoOther(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("good"))
	create(t, s, spec("bad"))
	file := filepath.Join(mountpoint, recordFile("bad"))
	for name, content := range map[string]string{"cut short": `{"schema": 2, "id": "bad"}`, "not JSON": "hello"} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			page, err := s.List("", 10)
			if err != nil || len(page.Records) != 1 || page.Records[0].ID != "good" {
				t.Errorf("%+v, %v", page, err)
			}
			wants(t, page.Damaged, ErrCorrupt, "bad.json")
			wants(t, s.Delete(background, "bad"), ErrCorrupt)
		})
	}
	if _, err := os.Stat(filepath.Join(mountpoint, "bad")); err != nil {
		t.Error(err)
	}
}

// A record that a disk has emptied is not told from that of a creation which was killed: what is in its directory stays.
func TestAnEmptiedRecordLosesNoData(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.recent, s.abandoned = 0, 0
	create(t, s, spec("vol"))
	dear := filepath.Join(mountpoint, "vol", "dear")
	must(t, os.WriteFile(dear, nil, 0o600), os.Truncate(filepath.Join(mountpoint, recordFile("vol")), 0))
	wants(t, s.Delete(background, "vol"), ErrForeign, "not empty")
	wants(t, s.Reconcile(background, unlocked), ErrForeign, "not empty")
	_, err := s.Create(spec("vol"))
	wants(t, err, ErrForeign)
	if _, err := os.Stat(dear); err != nil {
		t.Error(err)
	}
}

// What cannot be read is no damage: a list without it would not be whole.
func TestAListThatCannotBeReadIsAnError(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("good"))
	bad := filepath.Join(mountpoint, ownDir, volumesDir, "bad.json")
	unread := filepath.Join(mountpoint, ownDir, volumesDir, "unread.json")
	if err := errors.Join(os.WriteFile(bad, []byte("x"), 0o600), os.Symlink("good.json", unread)); err != nil {
		t.Fatal(err)
	}
	page, err := s.List("", 10)
	if err == nil || page.Damaged == nil || len(page.Records) != 1 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestTheDriversDirectoryMustBeRootsAlone(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"of another uid":  func(path string) error { return os.Chown(path, 1001, 0) },
		"open to a group": func(path string) error { return os.Chmod(path, 0o770) },
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := storeOf(t)
			create(t, s, spec("vol"))
			if err := spoil(filepath.Join(mountpoint, ownDir)); err != nil {
				t.Fatal(err)
			}
			wants(t, open(t, mountpoint).Delete(background, "vol"), ErrForeign, ownDir)
		})
	}
}

func TestRootSquashAndReadOnlySayWhatToDo(t *testing.T) {
	c, name, mountpoint := fresh(t, testcluster.VolumeOptions{})
	s := open(t, mountpoint)
	create(t, s, spec("before"))
	for _, test := range []struct {
		option string
		kind   error
	}{{"server.root-squash", ErrRefused}, {"features.read-only", ErrReadOnly}} {
		t.Run(test.option, func(t *testing.T) {
			if err := c.SetOption(name, test.option, "on"); err != nil {
				t.Fatal(err)
			}
			wanted := spec("during")
			wanted.Owner.UID = ptr[uint32](1001)
			testcluster.Eventually(t, 10*time.Second, func() error {
				_, err := open(t, mountpoint).Create(wanted)
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
				s := open(t, mountpoint)
				_, err := s.Create(wanted)
				if err == nil {
					err = s.Delete(background, "during")
				}
				return err
			})
		})
	}
}

func TestASlowCreationDoesNotBringBackADeletedVolume(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.step = func(point string) {
		if point == stepMode {
			other := open(t, mountpoint)
			wants(t, other.Delete(background, "slow"), ErrBusy)
			other.recent = 0
			if err := other.Delete(background, "slow"); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := s.Create(spec("slow"))
	wants(t, err, ErrBusy)
	same(t, audit(t, mountpoint))
}

func TestReconcileLeavesAloneWhatIsInUse(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.step = func(point string) {
		if point != stepMode {
			return
		}
		other := open(t, mountpoint)
		other.abandoned = 0
		if err := other.Reconcile(background, func(string) (func(), bool) { return nil, false }); err != nil {
			t.Error(err)
		}
	}
	create(t, s, spec("vol"))
	same(t, audit(t, mountpoint), "ready vol")
}
