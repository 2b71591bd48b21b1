// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package power

import (
	"context"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/commit"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// gv0 is a Gluster volume, seen by a client as the controller's.
type gv0 struct {
	cluster   *testcluster.Cluster
	path      string
	root      *safepath.Dir
	committer *commit.Committer
	bricks    int
	rounds    int
}

func mountGV0(t *testing.T, c *testcluster.Cluster) *gv0 {
	t.Helper()
	m, err := c.Mount(t.Context(), "gv0", gluster.Arguments("gv0", []string{gluster.FreshNames})...)
	if err != nil {
		t.Fatal(err)
	}
	root, err := safepath.OpenRoot(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	g := &gv0{cluster: c, path: m.Path, root: root.Called("pi/gv0"), committer: commit.New(), bricks: c.Bricks("gv0")}
	t.Cleanup(func() {
		root.Close()
		g.committer.Close()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *gv0) commit() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return g.committer.Commit(ctx, g.root)
}

// connected waits until the client has all bricks.
func (g *gv0) connected(t *testing.T) {
	t.Helper()
	for i := range g.bricks {
		testcluster.Eventually(t, patience, func() error { return testcluster.Connected(g.path, "gv0", i) })
	}
}

// gfidOnBrick is GlusterFS's name for what is at a path of a brick.
func gfidOnBrick(path string) (string, error) {
	var gfid [16]byte
	n, err := unix.Lgetxattr(path, "trusted.gfid", gfid[:])
	if err != nil {
		return "", &os.PathError{Op: "lgetxattr", Path: path, Err: err}
	}
	return string(gfid[:n]), nil
}
