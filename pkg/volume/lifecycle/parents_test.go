// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// atNth calls do when a point is passed for the n-th time.
func atNth(s *lifecycle.Volumes, point string, n int, do func()) {
	var mu sync.Mutex
	s.Step = func(at string) {
		mu.Lock()
		defer mu.Unlock()
		if at == point {
			if n--; n == 0 {
				do()
			}
		}
	}
}

// One controller removes a parent, and has moved the claim aside of one who makes it again, whose record is not there
// yet. It looks whether the directory is there and puts the claim back; it looks once more, and the claim is to go;
// and in that moment the other makes the directory.
func TestTheClaimOfAParentThatIsMadeMeanwhileStays(t *testing.T) {
	s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
	maker := volumes.Open(t, mountpoint)
	claimed, goOn, made := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	atNth(maker, "claim: name linked", 1, func() { close(claimed); <-goOn })
	stamp := volume.StampOf("vol", volume.Now())
	go func() {
		dir, err := maker.Creations.MakeParents("team/vol", stamp)
		if err == nil {
			dir.Close()
		}
		made <- err
	}()
	<-claimed
	atNth(s, "path: claim goes", 2, func() {
		close(goOn)
		volumes.Must(t, <-made)
	})
	volumes.Must(t, s.GivePathUp("team", func(volume.PathClaim) (bool, error) { return false, nil }))
	want := volume.PathClaim{Stamp: stamp, Parent: true, Path: "team"}
	if held, err := s.HolderOf("team"); err != nil || held != want {
		t.Errorf("the directory is held by %q, %v, want %q", held, err, want)
	}

	s.Step = func(string) {}
	spec := volumes.Spec("vol")
	spec.Path = "team/vol"
	volumes.Create(t, s, spec)
	volumes.Must(t, s.Delete(volumes.Background, "vol"))
	volumes.Same(t, volumes.Audit(t, mountpoint), "trash vol")
}

// The volume for which a parent was made is gone, and others are there.
func TestTheClaimOfAParentThatIsThereIsNotTaken(t *testing.T) {
	s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
	for _, name := range []string{"first", "second"} {
		spec := volumes.Spec(name)
		spec.Path = "team/" + name
		volumes.Create(t, s, spec)
	}
	volumes.Must(t, s.Delete(volumes.Background, "first"))
	was, err := s.HolderOf("team")
	volumes.Must(t, err)
	for _, parent := range []bool{true, false} {
		held, err := s.ClaimPath(volume.PathClaim{Stamp: volume.StampOf("third", volume.Now()), Parent: parent, Path: "team"})
		if !errors.Is(err, fs.ErrExist) || held != was {
			t.Errorf("it is claimed, held by %q, %v, want %q", held, err, was)
		}
	}
	volumes.Must(t, s.Delete(volumes.Background, "second"))
	if _, err := os.Stat(filepath.Join(mountpoint, "team")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is there: %v", err)
	}
}
