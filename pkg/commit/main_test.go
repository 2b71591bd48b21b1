// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package commit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { testcluster.Main(m) }

// shapes are the volumes that matter here.
var shapes = map[string]testcluster.Options{"replica 2": {}, "arbiter": {Arbiter: true}, "2x2": {Subvolumes: 2}}

// mounted is a client of a Gluster volume with a Committer.
type mounted struct {
	t       *testing.T
	cluster *testcluster.Cluster
	path    string
	root    *safepath.Dir
	*Committer
}

func mountGV0(t *testing.T, c *testcluster.Cluster) *mounted {
	t.Helper()
	return mountVolume(t, c, "gv0")
}

// mountVolume mounts a Gluster volume as the controller does.
func mountVolume(t *testing.T, c *testcluster.Cluster, volume string) *mounted {
	t.Helper()
	m, err := c.Mount(t.Context(), volume, gluster.Arguments(volume, []string{gluster.FreshNames})...)
	must(t, err)
	return use(t, c, volume, m)
}

func use(t *testing.T, c *testcluster.Cluster, volume string, m *testcluster.RawMount) *mounted {
	t.Helper()
	root, err := safepath.OpenRoot(m.Path)
	must(t, err)
	committer := New()
	committer.idle = time.Hour // tests look at its files, which it closes otherwise
	g := &mounted{t, c, m.Path, root.Called("pi/" + volume), committer}
	t.Cleanup(func() {
		root.Close()
		g.Close()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *mounted) commit() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return g.Commit(ctx, g.root)
}

func (g *mounted) mustCommit() {
	g.t.Helper()
	if err := g.commit(); err != nil {
		g.t.Fatal(err)
	}
}

// connected waits until the client has these bricks.
func (g *mounted) connected(bricks ...int) {
	g.t.Helper()
	for _, i := range bricks {
		testcluster.Eventually(g.t, patience, func() error { return testcluster.Connected(g.path, "gv0", i) })
	}
}

// everyOperation does all kinds of changes below a new directory.
func everyOperation(root, name string) error {
	at := func(elem string) string { return filepath.Join(root, name, elem) }
	steps := []error{
		os.Mkdir(filepath.Join(root, name), 0o700),
		os.Mkdir(at("dir"), 0o750), os.Chown(at("dir"), 1001, 1002), os.Chmod(at("dir"), 0o2770),
		os.WriteFile(at("file"), nil, 0o600), os.Link(at("file"), at("link")),
		os.WriteFile(at("unlinked"), nil, 0o600), os.Remove(at("unlinked")),
		os.WriteFile(at("old"), nil, 0o600), os.Rename(at("old"), at("new")),
		os.Mkdir(at("olddir"), 0o700), os.Rename(at("olddir"), at("newdir")),
		os.Symlink("content", at("symlink")),
		unix.Setxattr(at("dir"), "user.key", []byte("value"), 0),
	}
	return errors.Join(steps...)
}

// onBrick is all that a brick has below a directory, with the attributes that everyOperation changes.
func onBrick(t *testing.T, c *testcluster.Cluster, brick int, name string) map[string]string {
	t.Helper()
	all := map[string]string{}
	root := filepath.Join(c.BrickPath("gv0", brick), name)
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == root {
			return nil
		}
		var st unix.Stat_t
		if err := errors.Join(err, unix.Lstat(path, &st)); err != nil {
			return err
		}
		target, _ := os.Readlink(path)
		value := make([]byte, 100)
		n, _ := unix.Lgetxattr(path, "user.key", value)
		links := st.Nlink
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			links = 0
		}
		rel, _ := filepath.Rel(root, path)
		all[rel] = fmt.Sprintf("%o %d:%d links %d %s %s", st.Mode, st.Uid, st.Gid, links, target, value[:max(n, 0)])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// differences are what two states of a brick do not have alike.
func differences(before, after map[string]string) []string {
	var found []string
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if after[path] != before[path] {
			found = append(found, fmt.Sprintf("%s: %q, was %q", path, after[path], before[path]))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if _, was := before[path]; !was {
			found = append(found, path+" was not there")
		}
	}
	return found
}

func numbered(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}
