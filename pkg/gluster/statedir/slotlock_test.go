// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

func newSlot(t *testing.T) Slot {
	t.Helper()
	root, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := root.Slot(gluster.Volume{Cluster: "pi", Name: "gv0"}, []string{"acl"})
	if err := s.Make(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOneHasTheLock(t *testing.T) {
	s := newSlot(t)
	lock, err := s.TryLock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TryLock(); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Lock(ctx); !errors.Is(err, ErrBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("one that does not wait any longer got %v", err)
	}
	lock.Unlock()
	next, err := s.Lock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	next.Unlock()
}

func TestWhoIsAloneKeepsOthersAway(t *testing.T) {
	s := newSlot(t)
	first, err := s.TryJoinUsers()
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.TryJoinUsers()
	if err != nil {
		t.Fatal(err)
	}
	if alone, err := first.TryAlone(); alone || err != nil {
		t.Errorf("one of two is alone: %v", err)
	}
	if alone, err := second.TryAlone(); alone || err != nil {
		t.Errorf("the first is a user no more: %v", err)
	}
	second.Close()
	if alone, err := first.TryAlone(); !alone || err != nil {
		t.Errorf("the last one is not alone: %v", err)
	}
	if _, err := s.TryJoinUsers(); !errors.Is(err, ErrBusy) {
		t.Errorf("another came meanwhile: %v", err)
	}
	first.Close()
	last, err := s.TryJoinUsers()
	if err != nil {
		t.Fatal(err)
	}
	last.Close()
}

func TestStartsAreListedUntilTheyAreKeptOrDiscarded(t *testing.T) {
	s := newSlot(t)
	lock, err := s.TryLock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	var starts [3]Start
	for i := range starts {
		if starts[i], err = lock.NewStart(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(starts[0].MarkReady(7), starts[1].Discard(), lock.Keep(starts[2])); err != nil {
		t.Fatal(err)
	}
	left, err := s.Starts()
	if err != nil || len(left) != 1 || left[0] != starts[0] {
		t.Errorf("Starts() = %v, %v, want %v", left, err, starts[:1])
	}
	if pid, ok := starts[0].ReadyPID(); pid != 7 || !ok {
		t.Errorf("ready is %d, %t", pid, ok)
	}
	kept, err := s.Kept()
	if err != nil || len(kept) != 1 || !s.IsKept(kept[0].Mountpoint()) || s.IsKept(starts[0].Mountpoint()) {
		t.Fatalf("Kept() = %v, %v", kept, err)
	}
	if _, err := os.Lstat(starts[1].Mountpoint()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the discarded one is still there: %v", err)
	}
}

func TestADescriptionIsReadAsItWasWritten(t *testing.T) {
	s := newSlot(t)
	v := gluster.Volume{Cluster: "pi", Name: "gv0"}
	for range 2 { // the second time it is there
		if err := s.Describe(v, []string{"acl"}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := s.Description()
	if err != nil || d.Volume != v || len(d.Options) != 1 || d.Options[0] != "acl" {
		t.Errorf("got %+v, %v", d, err)
	}
	if err := s.Describe(gluster.Volume{Cluster: "pi", Name: "../gv0"}, nil); err != nil {
		t.Fatal(err)
	}
	if d, err := s.Description(); err == nil {
		t.Errorf("a name that climbs was taken: %+v", d)
	}
}
