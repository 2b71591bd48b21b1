// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package owndir_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// claimTest is something that one of two controllers gets.
type claimTest struct {
	// prepare makes what is to be there before, as the directories are: of those see TestTwoMakersOfDirectories.
	prepare func(t *testing.T, s *lifecycle.Volumes, n int)
	// claim says whether this controller, the i-th, has it.
	claim func(s *lifecycle.Volumes, i, n int) (bool, error)
	// at is the name that is claimed.
	at func(n int) string
}

// claimTests are all that the driver claims by a name.
func claimTests(created time.Time) map[string]claimTest {
	ensure := func(t *testing.T, s *lifecycle.Volumes, key string, kinds ...string) {
		t.Helper()
		for _, kind := range kinds {
			_, err := s.EnsureShard(kind, key)
			volumes.Must(t, err)
		}
	}
	stamps := map[int]string{} // of the volumes whose attributes change
	id := func(kind string, n int) string { return fmt.Sprint(kind, n) }
	inShard := func(kind, key, name string) string {
		return filepath.Join(volume.OwnDir, kind, volumes.ShardOf(key), name)
	}
	return map[string]claimTest{
		"a path": {
			prepare: func(t *testing.T, s *lifecycle.Volumes, n int) {
				t.Helper()
				ensure(t, s, volume.PathClaimName(id("path", n)), owndir.PathsDir)
			},
			claim: func(s *lifecycle.Volumes, i, n int) (bool, error) {
				h := volume.PathClaim{Stamp: volume.StampOf(fmt.Sprint("racer", i), created), Path: id("path", n)}
				held, err := s.ClaimPath(h)
				return err == nil && held == h, volume.IgnoreExist(err)
			},
			at: func(n int) string { return volumes.ClaimFile(id("path", n)) },
		},
		"attributes": {
			prepare: func(t *testing.T, s *lifecycle.Volumes, n int) {
				t.Helper()
				ensure(t, s, id("vol", n), owndir.AttributesDir)
				stamps[n] = volumes.Create(t, s, volumes.Spec(id("vol", n))).Stamp()
			},
			claim: func(s *lifecycle.Volumes, _, n int) (bool, error) {
				const size = 2 << 30
				r, err := s.GetAsMade(id("vol", n))
				if err != nil {
					return false, err
				}
				before := int64(0)
				_, err = s.ChangeAttributes(r, nil, store.Change{To: func(a *volume.Attributes) error {
					before, a.Capacity = a.Capacity, max(a.Capacity, size)+1
					return nil
				}, Apply: store.OnlyCommit})
				return before == 0, err
			},
			at: func(n int) string { return inShard(owndir.AttributesDir, id("vol", n), stamps[n]+".1") },
		},
		"a copy": {
			prepare: func(t *testing.T, s *lifecycle.Volumes, n int) {
				t.Helper()
				ensure(t, s, id("copy", n), owndir.SnapshotsDir, owndir.RemovingDir)
			},
			claim: func(s *lifecycle.Volumes, i, n int) (bool, error) {
				c := volume.Copy{
					Kind: volume.Snapshots, ID: id("copy", n), Created: created.Add(time.Duration(i) * time.Second),
					Source: volume.Source{Volume: "pi/gv0/source"}, SourceStamp: volume.StampOf("source", created),
				}
				st, err := copying.New(s.Store, volume.Snapshots).Claim(c)
				return st.Stamp() == c.Stamp(), err
			},
			at: func(n int) string {
				return inShard(owndir.SnapshotsDir, id("copy", n), id("copy", n)+store.RecordSuffix)
			},
		},
		"a record": {
			prepare: func(t *testing.T, s *lifecycle.Volumes, n int) {
				t.Helper()
				ensure(t, s, id("record", n), owndir.VolumesDir)
			},
			claim: func(s *lifecycle.Volumes, _, n int) (bool, error) {
				c, err := s.Creations.ClaimRecord(volume.NewRecord(volumes.Spec(id("record", n))))
				if err == nil {
					c.Close()
				}
				return err == nil, volume.IgnoreExist(err)
			},
			at: func(n int) string { return volumes.RecordFile(id("record", n)) },
		},
	}
}

// Two controllers claim the same thing, and a third client looks at it all the time, while one of the bricks stands
// still in the middle of what makes a gfid's handle: it loses a symbolic link that is made under the name that is looked
// at (see claims.go), and yet one of the two has it, and both bricks have the same.
func TestOfTwoThatClaimOneHasItOnEveryBrick(t *testing.T) {
	for shape, options := range map[string]testcluster.VolumeOptions{"replicate": {}, "distribute": {Subvolumes: 2}} {
		created := time.Now()
		for name, test := range claimTests(created) {
			t.Run(shape+"/"+name, func(t *testing.T) {
				c, gv0, at := volumes.TwoClients(t, options)
				third, err := c.Mount(t.Context(), gv0)
				volumes.Must(t, err)
				t.Cleanup(func() { volumes.Must(t, third.Close()) })
				controllers := []*lifecycle.Volumes{volumes.Open(t, at[0]), volumes.Open(t, at[1])}
				for i := range controllers { // who live
					r := volume.NewRecord(volumes.Spec(fmt.Sprint("racer", i)))
					r.Created = created
					record, err := controllers[i].Creations.ClaimRecord(r)
					volumes.Must(t, err)
					record.Close()
				}
				const many = 10
				for n := range many {
					test.prepare(t, controllers[0], n)
				}
				c.SlowCall(t, gv0, 0, "mkdirat", 20*time.Millisecond) // between a gfid and its handle
				for n := range many {
					stop := lookAt(filepath.Join(third.Path, test.at(n)))
					var all sync.WaitGroup
					var won atomic.Int32
					for i, s := range controllers {
						all.Go(func() {
							has, err := test.claim(s, i, n)
							if err != nil {
								t.Errorf("%s: %v", test.at(n), err)
							}
							if has {
								won.Add(1)
							}
						})
					}
					all.Wait()
					stop()
					if won.Load() != 1 {
						t.Errorf("%s: %d have it", test.at(n), won.Load())
					}
				}
				for set := 0; set < c.Bricks(gv0); set += 2 {
					sameOnBricks(t, c.BrickPath(gv0, set), c.BrickPath(gv0, set+1))
				}
			})
		}
	}
}

// lookAt looks at a name until the returned function is called.
func lookAt(path string) (stop func()) {
	done := make(chan struct{})
	var looks sync.WaitGroup
	looks.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_, _ = os.Lstat(path)
			}
		}
	})
	return func() { close(done); looks.Wait() }
}

// sameOnBricks fails the test unless both bricks have the same of what is the driver's own, with the same gfids.
func sameOnBricks(t *testing.T, first, second string) {
	t.Helper()
	one, other := ownOn(t, first), ownOn(t, second)
	if maps.Equal(one, other) {
		return
	}
	for path, has := range one {
		if other[path] != has {
			t.Errorf("%s is %q on the first brick, %q on the second", path, has, other[path])
		}
	}
	for path, has := range other {
		if one[path] == "" {
			t.Errorf("%s, %q, is not on the first brick", path, has)
		}
	}
}

// ownOn is what a brick has of the driver's own: gfids, and the content of links.
func ownOn(t *testing.T, brick string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(filepath.Join(brick, volume.OwnDir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == "commit" {
			return fs.SkipDir
		}
		gfid := make([]byte, 16)
		_, err = unix.Lgetxattr(path, "trusted.gfid", gfid)
		content, _ := os.Readlink(path)
		found[strings.TrimPrefix(path, brick)] = hex.EncodeToString(gfid) + content
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

// A claim that was made by a symlink of its own name, as before this version, is one as any other.
func TestAClaimOfAnEarlierVersionIsObeyedAndGivenUp(t *testing.T) {
	s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
	r := volumes.Create(t, s, volumes.Spec("vol"))
	h := volume.PathClaim{Stamp: r.Stamp(), Path: "vol"}
	claim := filepath.Join(mountpoint, volumes.ClaimFile("vol"))
	volumes.Must(t, os.Remove(claim), os.Symlink(h.String(), claim))

	other := volumes.Spec("other")
	other.Path = "vol"
	_, err := s.Create(other)
	volumes.Wants(t, err, volume.ErrForeign)
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
	volumes.Must(t, s.Delete(volumes.Background, "vol"))
	volumes.Create(t, s, other)
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready other", "trash vol")
}

// Who claims may be killed before the link has the claim's name, or before it has that alone.
func TestWhatAKilledClaimHasLeftIsRemoved(t *testing.T) {
	s, mountpoint, own := volumes.OnGV0WithoutWaiting(t)
	r := volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Expand(t, s, "vol", 2<<30, 0, 2<<30)
	claim := filepath.Join(mountpoint, volumes.ClaimFile("vol"))
	attributes := filepath.Join(own, owndir.AttributesDir, volumes.ShardOf("vol"))
	copies := filepath.Join(own, owndir.SnapshotsDir, volumes.ShardOf("snap"))
	files := []string{
		filepath.Join(filepath.Dir(claim), "."+filepath.Base(claim)+".1"), filepath.Join(attributes, "."+r.Stamp()+".2.x"),
		filepath.Join(copies, ".snap.json.x"), filepath.Join(own, "gfids", "."+r.Stamp()+".x"),
		filepath.Join(filepath.Dir(claim), "."+volume.PathClaimName("dead")+".2"),
	}
	dead := volume.PathClaim{Stamp: volume.StampOf("dead", time.Now()), Path: "dead"}
	volumes.Must(t, os.MkdirAll(copies, 0o700), os.Link(claim, files[0]), os.Symlink("{}", files[1]), os.Symlink("{}", files[2]),
		os.Symlink("x", files[3]), os.Symlink(dead.String(), files[4]))
	s.Abandoned = time.Hour
	volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
	for _, file := range files {
		if _, err := os.Lstat(file); err != nil {
			t.Errorf("whoever made it may be at it still: %v", err)
		}
	}
	if problems, err := volumes.Checker(s).Check(volumes.Background); err != nil || len(problems) > 0 {
		t.Errorf("the check tells of it: %+v, %v", problems, err)
	}
	s.Abandoned = 0
	volumes.Must(t, s.Reconcile(volumes.Background, volumes.Unlocked))
	for _, file := range files {
		if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", file, err)
		}
	}
	volumes.ShowsCapacity(t, s, "vol", 2<<30)
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
}
