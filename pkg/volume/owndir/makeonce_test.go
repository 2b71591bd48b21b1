// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package owndir_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// Two controllers want the same directory, and a third client looks at it all the time, while one of the bricks stands
// still in the middle of each mkdir: it loses the mkdir (see makeonce.go), and yet the directory has one gfid, on both.
func TestTwoMakersOfDirectories(t *testing.T) {
	for name, test := range map[string]struct {
		many int
		make func(s *lifecycle.Volumes, n int) error
		at   func(n int) string // which is looked at
	}{
		"the driver's own": {
			many: 10, // of which three had two gfids before
			make: func(s *lifecycle.Volumes, n int) error {
				_, err := s.EnsureShard(owndir.PathsDir, fmt.Sprint(n))
				return err
			},
			at: func(n int) string {
				return fmt.Sprintf("%s/%s/%02x", volume.OwnDir, owndir.PathsDir, sha256.Sum256([]byte(fmt.Sprint(n)))[0]%64)
			},
		},
		"a parent of volumes": {
			many: 4,
			make: func(s *lifecycle.Volumes, n int) error {
				dir, err := s.Creations.MakeParents(fmt.Sprintf("parent%d/vol", n), volume.StampOf("vol", time.Now()))
				if err == nil {
					dir.Close()
				}
				return err
			},
			at: func(n int) string { return fmt.Sprint("parent", n) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, gv0, at := volumes.TwoClients(t, testcluster.VolumeOptions{})
			third, err := c.Mount(t.Context(), gv0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { volumes.Must(t, third.Close()) })
			controllers := []*lifecycle.Volumes{volumes.Open(t, at[0]), volumes.Open(t, at[1])}
			volumes.Create(t, controllers[0], volumes.Spec("first"))
			c.SlowCall(t, gv0, 0, "mkdirat", 20*time.Millisecond) // between a directory's gfid and its handle
			for n := range test.many {
				var all, looks sync.WaitGroup
				done := make(chan struct{})
				looks.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
							_, _ = os.Lstat(filepath.Join(third.Path, test.at(n)))
						}
					}
				})
				for _, s := range controllers {
					all.Go(func() {
						testcluster.Eventually(t, time.Minute, func() error {
							err := test.make(s, n)
							if !errors.Is(err, volume.ErrBusy) && err != nil {
								t.Errorf("%s: %v", test.at(n), err)
								return nil
							}
							return err
						})
					})
				}
				all.Wait()
				close(done)
				looks.Wait()
			}
			first, second := volumes.Directories(t, c.BrickPath(gv0, 0)), volumes.Directories(t, c.BrickPath(gv0, 1))
			if !maps.Equal(first, second) {
				for path, gfid := range first {
					if second[path] != gfid {
						t.Errorf("%s has the gfid %s on the first brick, %q on the second", path, gfid, second[path])
					}
				}
				for path, gfid := range second {
					if first[path] == "" {
						t.Errorf("%s with the gfid %s is not on the first brick", path, gfid)
					}
				}
			}
		})
	}
}

// Who makes a directory may be killed before it is there.
func TestADirectoryWhoseMakerWasKilledIsMade(t *testing.T) {
	s, mountpoint, own := volumes.OnGV0WithoutWaiting(t)
	files := []string{filepath.Join(mountpoint, volume.OwnDir+".making")}
	volumes.Must(t, os.WriteFile(files[0], nil, 0o600))
	volumes.Create(t, s, volumes.Spec("vol"))

	below := volumes.Spec("below")
	below.Path = "team/below"
	files = append(files,
		filepath.Join(own, volume.PathClaimName("team")+".making"), filepath.Join(own, owndir.AttributesDir+".making"))
	for _, file := range files[1:] {
		volumes.Must(t, os.WriteFile(file, nil, 0o600))
	}
	volumes.Create(t, s, below)
	_, err := s.EnsureShard(owndir.AttributesDir, "vol")
	volumes.Must(t, err)
	volumes.Same(t, volumes.Audit(t, mountpoint), "directory team", "ready below", "ready vol")
	for _, file := range files {
		if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", file, err)
		}
	}
}

// Or when it is there, and nobody asks for the file any more.
func TestWhatAKilledMakerHasLeftIsRemoved(t *testing.T) {
	s, mountpoint, own := volumes.OnGV0WithoutWaiting(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	files := []string{
		filepath.Join(mountpoint, volume.OwnDir+".making"), filepath.Join(mountpoint, volume.OwnDir+".making.aside"),
		filepath.Join(own, "paths.14.making"), filepath.Join(own, "paths.15.making.aside"),
	}
	for _, file := range files {
		volumes.Must(t, os.WriteFile(file, nil, 0o600))
	}
	s.Abandoned = time.Hour
	volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
	for _, file := range files {
		if _, err := os.Lstat(file); err != nil {
			t.Errorf("its maker may be at it still: %v", err)
		}
	}
	s.Abandoned = 0
	volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
	for _, file := range files {
		if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", file, err)
		}
	}
}
