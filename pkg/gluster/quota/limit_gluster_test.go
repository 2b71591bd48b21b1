// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package quota

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestAWriterEndsAtTheLimit(t *testing.T) {
	for name, options := range layouts {
		t.Run(name, func(t *testing.T) {
			s := newSide(t, options)
			whole := sizeShown(t, s.pod)
			dir := s.makeDirectory("pvc")
			s.makeDirectory("pvc/sub")
			pod, sub := s.bind("pvc"), s.bind("pvc/sub")
			first, raised := Choose(20*mib, DefaultHeadroom), Choose(40*mib, DefaultHeadroom)
			s.set(dir, first)
			for what, path := range map[string]string{"the pod's mount": pod, "one of a directory below": sub, "the client's": filepath.Join(s.pod, "pvc")} {
				if got := sizeShown(t, path); got != first.Bytes {
					t.Errorf("df shows %d at %s, want %d", got, what, first.Bytes)
				}
			}
			s.holdsTo(dir, pod, first)
			if err := writeFile(filepath.Join(s.pod, "neighbour"), mib); err != nil {
				t.Errorf("the neighbour of a volume that is full: %v", err)
			}
			s.set(dir, raised)
			s.holdsTo(dir, pod, raised)
			if err := os.Remove(filepath.Join(pod, "file-0")); err != nil {
				t.Fatal(err)
			}
			if err := writeFile(filepath.Join(pod, "file-0"), mib); err != nil {
				t.Errorf("after a file was removed: %v", err)
			}
			if err := errors.Join(dir.LiftLimit(), dir.LiftLimit()); err != nil {
				t.Fatal(err)
			}
			if l, ok, err := dir.Limit(); ok || err != nil {
				t.Errorf("the limit that was lifted is %+v, %v", l, err)
			}
			if got := sizeShown(t, pod); got != whole {
				t.Errorf("df shows %d without a limit, want %d", got, whole)
			}
			if err := fill(pod, 48*mib); err != nil {
				t.Errorf("without a limit: %v", err)
			}
		})
	}
}

// TestTheHeadroomEndsExactly has a writer that is slow until bricks ask about each write, and fast from then on.
func TestTheHeadroomEndsExactly(t *testing.T) {
	s := newSide(t, testcluster.VolumeOptions{})
	s.run([]string{"gluster volume quota " + s.volume.Name + " soft-timeout 1"})
	dir := s.makeDirectory("pvc")
	l := Choose(60*mib, 45*mib)
	s.set(dir, l)
	pod := s.bind("pvc")
	if err := writeFile(filepath.Join(pod, "first"), 20*mib); err != nil {
		t.Fatal(err)
	}
	// Each brick goes by its last answer for a second. Then one of these writes has it ask, and it learns that the soft
	// limit is behind.
	began := time.Now()
	testcluster.Eventually(t, patience, func() error {
		if err := writeFile(filepath.Join(pod, "first"), mib); err != nil {
			t.Fatal(err)
		}
		if used := s.used(dir).Bytes; used > 50*mib {
			t.Fatalf("%d MiB were written before the bricks asked again", used/mib)
		}
		if time.Since(began) < 2*time.Second {
			return errors.New("the bricks may not have asked yet")
		}
		return nil
	})
	s.holdsTo(dir, pod, l)
}

func TestAnotherClientSetsAndSeesNoLimit(t *testing.T) {
	s := newSide(t, testcluster.VolumeOptions{})
	dir := s.makeDirectory("pvc")
	l := Choose(20*mib, DefaultHeadroom)
	s.set(dir, l)
	ordinary, err := Open(s.mount(gluster.FreshNames), "pvc")
	if err != nil {
		t.Fatal(err)
	}
	defer ordinary.Close()
	if err := ordinary.SetLimit(Choose(mib, 0)); !errors.Is(err, ErrUnprivileged) {
		t.Errorf("it sets a limit: %v", err)
	}
	if err := ordinary.LiftLimit(); !errors.Is(err, ErrUnprivileged) {
		t.Errorf("it lifts a limit: %v", err)
	}
	if got, ok, err := dir.Limit(); !ok || got != l || err != nil {
		t.Errorf("the limit is %+v, %v, %v", got, ok, err)
	}
	if _, ok, err := ordinary.Limit(); ok || err != nil {
		t.Errorf("it sees the limit: %v", err)
	}
	if _, err := ordinary.Usage(); !errors.Is(err, ErrOff) {
		t.Errorf("it sees the usage: %v", err)
	}
	// Why nothing may be bound from the privileged client.
	if err := writeFile(filepath.Join(s.setter.Name(), "pvc/beyond"), 24*mib); err != nil {
		t.Errorf("the privileged client is held to the limit: %v", err)
	}
	if err := writeFile(filepath.Join(s.pod, "pvc/more"), mib); !errors.Is(err, unix.EDQUOT) {
		t.Errorf("beyond the limit a pod's client goes on: %v", err)
	}
}

func TestUsageIsCountedBelowADirectory(t *testing.T) {
	for name, options := range layouts {
		t.Run(name, func(t *testing.T) {
			s := newSide(t, options)
			dir := s.makeDirectory("pvc")
			if got := s.used(dir); got != (Usage{Dirs: 1}) {
				t.Errorf("an empty directory has %+v", got)
			}
			s.makeDirectory("pvc/sub")
			for _, name := range []string{"a", "b", "sub/c", "sub/d", "sub/e"} {
				if err := writeFile(filepath.Join(s.pod, "pvc", name), mib); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("a", filepath.Join(s.pod, "pvc/link")); err != nil {
				t.Fatal(err)
			}
			testcluster.Eventually(t, patience, func() error { // it is counted after the write, on each brick
				if got := s.used(dir); got.Files != 6 || got.Dirs != 2 || got.Bytes < 5*mib || got.Bytes > 6*mib {
					return errors.New("it has " + got.String())
				}
				return nil
			})
		})
	}
}

func TestARenamedDirectoryKeepsItsLimitAndUsage(t *testing.T) {
	for name, options := range layouts {
		t.Run(name, func(t *testing.T) {
			s := newSide(t, options)
			dir, above := s.makeDirectory("pvc"), s.makeDirectory("trash")
			l := Choose(20*mib, DefaultHeadroom)
			s.set(dir, l)
			pod := s.bind("pvc")
			s.holdsTo(dir, pod, l)
			before := s.used(dir)
			if err := os.Rename(filepath.Join(s.pod, "pvc"), filepath.Join(s.pod, "trash/pvc.1")); err != nil {
				t.Fatalf("a directory that is full is renamed: %v", err)
			}
			moved := s.open("trash/pvc.1")
			if got, ok, err := moved.Limit(); !ok || got != l || err != nil {
				t.Errorf("its limit is %+v, %v, %v", got, ok, err)
			}
			if got := s.used(moved); got != before {
				t.Errorf("its usage was %+v and is %+v", before, got)
			}
			testcluster.Eventually(t, patience, func() error {
				if got := s.used(above); got.Bytes != before.Bytes {
					return errors.New("the directory above has " + got.String())
				}
				return nil
			})
			if err := writeFile(filepath.Join(pod, "more"), 4*mib); !errors.Is(err, unix.EDQUOT) {
				t.Errorf("a pod that still has it goes on writing: %v", err)
			}
			if err := os.RemoveAll(filepath.Join(s.pod, "trash/pvc.1")); err != nil {
				t.Errorf("a directory that is full is removed: %v", err)
			}
		})
	}
}
