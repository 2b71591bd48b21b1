// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package commit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestOnAFullGlusterVolume: what frees space is to be committed, too.
func TestOnAFullGlusterVolume(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{Subvolumes: 2})
	if err := c.CreateVolume("tiny", testcluster.VolumeOptions{BrickSize: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.RemoveVolume("tiny"); err != nil {
			t.Error(err)
		}
	})
	g := mountVolume(t, c, "tiny")
	g.mustCommit()
	fill(t, filepath.Join(g.path, "ballast"))
	if err := os.Rename(filepath.Join(g.path, "ballast"), filepath.Join(g.path, "trash")); err != nil {
		t.Fatal(err)
	}
	g.mustCommit()
	mountVolume(t, c, "tiny").mustCommit() // nor does another process need space
}

// TestAFileForWhichThereWasNoRoomIsReplaced: when the last blocks of a brick have taken a file and not the directories of
// its gfid, the file is there without its name in .glusterfs. How many blocks that needs is chance, so here the name is
// taken away.
func TestAFileForWhichThereWasNoRoomIsReplaced(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{Subvolumes: 2})
	must(t, c.CreateVolume("brim", testcluster.VolumeOptions{}))
	t.Cleanup(func() { must(t, c.RemoveVolume("brim")) })
	g := mountVolume(t, c, "brim")
	g.mustCommit()
	path := filepath.Join(g.path, ownDir, "commit/0/0")
	value := make([]byte, 36)
	_, err := unix.Getxattr(path, "glusterfs.gfid.string", value)
	must(t, err)
	gfid := string(value)
	for brick := range 2 {
		must(t, os.Remove(filepath.Join(c.BrickPath("brim", brick), ".glusterfs", gfid[:2], gfid[2:4], gfid)))
	}
	testcluster.Eventually(t, patience, func() error {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if !errors.Is(err, unix.ESTALE) {
			return errors.Join(errors.New("it can be opened"), err, file.Close())
		}
		return nil
	})
	mountVolume(t, c, "brim").mustCommit()
	g.mustCommit()
}

// fill takes all the space that there is.
func fill(t *testing.T, path string) {
	t.Helper()
	ballast, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(t, err)
	for size := 1 << 20; size >= 4<<10; size /= 2 {
		for err = nil; err == nil; {
			_, err = ballast.Write(make([]byte, size))
		}
	}
	_ = ballast.Close() // it says what the last write said
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
}

// TestOnASetThatIsAlmostFullAFileIsMadeByName: GlusterFS puts no new file on a set with less than cluster.min-free-disk
// while others have more, and what is done there is to be on disk all the same.
func TestOnASetThatIsAlmostFullAFileIsMadeByName(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{Subvolumes: 2, FileSystem: testcluster.Ext4, BrickSize: 64 << 20})
	before := mountGV0(t, c)
	for n := range 100 { // some of them lie on the second set
		ballast := filepath.Join(before.path, fmt.Sprint("ballast", n))
		must(t, os.WriteFile(ballast, nil, 0o600))
		if _, err := os.Stat(filepath.Join(c.BrickPath("gv0", 2), filepath.Base(ballast))); err == nil {
			fill(t, ballast)
			info, err := os.Stat(ballast)
			must(t, err, os.Truncate(ballast, info.Size()-3<<20))
			break
		}
	}
	var st unix.Statfs_t
	must(t, unix.Statfs(c.BrickPath("gv0", 2), &st))
	if free := float64(st.Bavail) / float64(st.Blocks); free > 0.1 {
		t.Fatalf("of the second set %.0f %% are free", 100*free)
	}
	g := mountGV0(t, c)
	g.mustCommit()
	if len(g.files.bySet) != 2 {
		t.Errorf("files on %v", g.files.bySet)
	}
	made := filesOf(t, g)
	other := mountGV0(t, c) // finds the same
	other.mustCommit()
	if found := filesOf(t, other); !slices.Equal(found, made) {
		t.Errorf("another process has %v, the first %v", found, made)
	}
	names, err := os.ReadDir(filepath.Join(g.path, ownDir, "commit/0"))
	if err != nil || len(names) != 2 {
		t.Errorf("%d files are there, %v", len(names), err)
	}
	if lost := g.operateAndCut(t, "full", true); len(lost) > 0 {
		t.Errorf("lost:\n%s", strings.Join(lost, "\n"))
	}
}
