// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWhatAnotherHostMayStillBeDoingIsLeftToIt(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("deleted"))
	cut(open(t, mountpoint), stepFiled, func(s *Store) { _ = s.Delete(background, "deleted") })
	cut(open(t, mountpoint), stepMode, func(s *Store) { _, _ = s.Create(spec("made")) })
	wants(t, s.Delete(background, "deleted"), ErrBusy)
	wants(t, s.Delete(background, "made"), ErrBusy)
	_, err := s.Create(spec("deleted"))
	wants(t, err, ErrBusy)
	_, err = s.Create(spec("made"))
	wants(t, err, ErrBusy)
	entries, err := s.TrashEntries()
	if err != nil || len(entries) != 1 {
		t.Fatalf("entries %v, %v", entries, err)
	}
	_, err = s.Restore(entries[0].Name)
	wants(t, err, ErrBusy)
	wants(t, s.Purge(background, entries[0].Name, &Purging{}), ErrBusy)
	if n, err := s.Reap(background, -time.Hour); n != 0 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	if err := s.Reconcile(background, unlocked); err != nil {
		t.Error(err)
	}

	// Nobody is doing it any more.
	s.recent = 0
	create(t, s, spec("made"))
	if err := s.Delete(background, "deleted"); err != nil {
		t.Error(err)
	}
	same(t, audit(t, mountpoint), "ready made", "trash deleted")
}

func TestAVolumeThatIsMadeAgainHasNothingOfTheOneBefore(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.recent, s.abandoned = 0, 0
	first := create(t, s, spec("vol"))
	file := filepath.Join(mountpoint, "vol", "secret")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cut(open(t, mountpoint), stepFiled, func(s *Store) { _ = s.Delete(background, "vol") })
	// Nor is it published meanwhile, as a directory that has no record.
	_, _, err := s.Directory(background, Access{ID: "vol", Path: "vol"})
	wants(t, err, ErrForeign)
	_, err = s.Create(spec("vol")) // clears it away
	wants(t, err, ErrBusy)
	if second := create(t, s, spec("vol")); second.Created.Equal(first.Created) {
		t.Error("it is the same volume")
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the secret is there: %v", err)
	}
	same(t, audit(t, mountpoint), "ready vol", "trash vol")
}

func TestAVolumeHalfMadeIsNotPublished(t *testing.T) {
	s, mountpoint := storeOf(t)
	for _, point := range []string{stepMade, stepMode} {
		s.recent = 0
		cut(open(t, mountpoint), point, func(s *Store) { _, _ = s.Create(spec("vol")) })
		_, _, err := s.Directory(background, Access{ID: "vol", Path: "vol"})
		wants(t, err, ErrBusy)
		if err := s.Delete(background, "vol"); err != nil {
			t.Error(err)
		}
	}
	same(t, audit(t, mountpoint))
}

// A claim whose writer was killed, or whose server lost its power, may have no content. Its writer may be
// on another host, and go on: then it must not become ready.
func TestAnEmptyClaimIsTakenBackWithWhatWasMadeForIt(t *testing.T) {
	for _, point := range []string{stepOpened, stepMade} {
		t.Run(point, func(t *testing.T) {
			s, mountpoint := storeOf(t)
			slow := open(t, mountpoint)
			slow.step = func(at string) {
				if at != point {
					return
				}
				must(t, os.Truncate(filepath.Join(mountpoint, recordFile("vol")), 0))
				wants(t, s.Delete(background, "vol"), ErrBusy)
				s.recent = 0
				must(t, s.Delete(background, "vol"))
			}
			_, err := slow.Create(spec("vol"))
			wants(t, err, ErrBusy)
			must(t, s.Delete(background, "vol"))
			same(t, audit(t, mountpoint))
		})
	}
}

// The power goes when an empty claim was taken back and before that was on disk: what says that it is being taken back
// comes back, and by then the volume may have been made again.
func TestAnEmptyClaimThatComesBackTakesNothingFromTheVolumeMadeSince(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.recent, s.abandoned = 0, 0
	create(t, s, spec("vol"))
	must(t, os.WriteFile(filepath.Join(mountpoint, creatingFile(stamped("vol", time.Now()), revokedSuffix)), nil, 0o600))
	must(t, s.Reconcile(background, unlocked))
	same(t, audit(t, mountpoint), "ready vol")
}

func TestAClaimOfANewerDriverIsLeftAlone(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("vol"))
	for _, claim := range []string{
		filepath.Join(ownDir, creatingDir, stamped("new", time.Now().Add(-2*abandoned))+recordSuffix), recordFile("new"),
	} {
		claim = filepath.Join(mountpoint, claim)
		must(t, os.MkdirAll(filepath.Dir(claim), 0o700))
		if err := os.WriteFile(claim, []byte(`{"schema": 3, "minReader": 3, "id": "new"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		s.recent, s.abandoned = 0, 0
		wants(t, s.Reconcile(background, unlocked), ErrNewer, "new")
		wants(t, s.Delete(background, "new"), ErrNewer, "new")
		left, err := filepath.Glob(filepath.Join(mountpoint, ownDir, "*", "??", "new.*"))
		if err != nil || len(left) != 1 {
			t.Errorf("left is %v, %v", left, err)
		}
		must(t, os.Remove(left[0]))
	}
}

func TestADirectoryThatSomebodyFilledIsNotTakenBack(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.recent = 0
	cut(open(t, mountpoint), stepMode, func(s *Store) { _, _ = s.Create(spec("vol")) })
	file := filepath.Join(mountpoint, "vol", "dear")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, s.Delete(background, "vol"), ErrForeign, "vol")
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(background, "vol"); err != nil {
		t.Error(err)
	}
	same(t, audit(t, mountpoint))
}
