// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copying_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestMain(m *testing.M) {
	child()
	testcluster.Main(m)
}

// child does what this process was started for by a test, and does not return then.
var child = func() {}

// files is how many a source has.
const files = 40

// makeSource makes a tree beside the store, on the same Gluster volume.
func makeSource(t *testing.T, mountpoint string) string {
	t.Helper()
	at := filepath.Join(mountpoint, "source")
	for i := range files {
		dir := filepath.Join(at, fmt.Sprint("d", i%4))
		volumes.Must(t, os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(fmt.Sprint("content ", i)), 0o640))
	}
	return at
}

func open(t *testing.T, at string) *safepath.Dir {
	t.Helper()
	dir, err := safepath.OpenRoot(at)
	volumes.Must(t, err)
	t.Cleanup(dir.Close)
	return dir
}

// wanted is the snapshot called snap.
func wanted() volume.Copy {
	return volume.Copy{
		Kind: volume.Snapshots, ID: "snap", Name: "snap", Created: volume.Now(), Source: volume.Source{Volume: "pi/gv0/vol"},
		SourceStamp: volume.StampOf("vol", time.Unix(1, 0)),
	}
}

// impatient are the snapshots of a store, of one who waits for no lease.
func impatient(s *store.Store) *copying.Copies {
	c := copying.New(s, volume.Snapshots)
	c.Lasts = 0
	return c
}

func claim(t *testing.T, c *copying.Copies) copying.Status {
	t.Helper()
	st, err := c.Claim(wanted())
	volumes.Must(t, err)
	return st
}

func find(t *testing.T, c *copying.Copies) copying.Status {
	t.Helper()
	st, err := c.Find("snap")
	volumes.Must(t, err)
	return st
}

// isCopy fails the test unless a snapshot is complete and has what its source has.
func isCopy(t *testing.T, c *copying.Copies, mountpoint, source string) {
	t.Helper()
	st := find(t, c)
	if st.Result == nil || st.Result.Entries != files+5 {
		t.Fatalf("it is not complete: %+v", st.Result)
	}
	place, err := c.Place(st)
	volumes.Must(t, err)
	at := filepath.Join(mountpoint, place)
	seen := 0
	volumes.Must(t, filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(source, path)
		seen++
		if err != nil || d.IsDir() {
			return err
		}
		want, err := os.ReadFile(path)
		volumes.Must(t, err)
		if got, err := os.ReadFile(filepath.Join(at, rel)); err != nil || string(got) != string(want) {
			t.Errorf("%s has %q, %v, want %q", rel, got, err, want)
		}
		return nil
	}))
	if seen != files+5 {
		t.Errorf("the source has %d entries", seen)
	}
}
