// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package health

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// A brick that has forgotten a rename, as after a power cut, is told of those alone who have the directory mounted, and
// until it is put right.
func TestADirectoryWithTwoNamesIsToldOfItsOwnMount(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	clusters := clients.ClustersFile(t, c.Servers())
	h := clients.NewHost(t, clusters)
	o := New(h, clusters, settings.New(clusters), nil)
	mounted := clients.Ensure(t, h, gv0)
	root, brick := mounted.Mountpoint(), c.BrickPath("gv0", 0)
	do(t, os.Mkdir(filepath.Join(root, "before"), 0o755), os.Mkdir(filepath.Join(root, "other"), 0o755))
	kept := brick + ".kept"
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", brick, kept).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	do(t, os.Rename(filepath.Join(root, "before"), filepath.Join(root, "vol")))
	places := map[string]Place{}
	for _, name := range []string{"vol", "other"} {
		places[name] = Place{Device: mounted.Device(), Root: "/" + name, Target: clients.Bind(t, mounted, name, 0)}
	}
	comesTo := func(name string, want ...string) {
		t.Helper()
		testcluster.Eventually(t, clients.Patience, func() error {
			return expectReasons(o.Mount(t.Context(), gv0, places[name]), want...)
		})
	}
	comesTo("vol")
	connected := func() error { return testcluster.Connected(root, "gv0", 0) }

	do(t, c.KillBrick("gv0", 0), os.RemoveAll(brick), os.Rename(kept, brick), c.StartBrick("gv0", 0))
	testcluster.Eventually(t, clients.Patience, connected)
	comesTo("vol", fmt.Sprintf("Degraded TwoNames: vol pi/gv0 before %s %s", brick, c.BrickPath("gv0", 1)))
	comesTo("other")
	becomes(t, o, gv0)

	link, err := os.Readlink(filepath.Join(c.BrickPath("gv0", 1), handle(t, places["vol"])))
	do(t, err, c.KillBrick("gv0", 0), os.Rename(filepath.Join(brick, "before"), filepath.Join(brick, "vol")),
		os.Remove(filepath.Join(brick, handle(t, places["vol"]))), os.Symlink(link, filepath.Join(brick, handle(t, places["vol"]))),
		c.StartBrick("gv0", 0))
	testcluster.Eventually(t, clients.Patience, connected)
	comesTo("vol")
}

// handle is the link by which a brick finds what is mounted.
func handle(t *testing.T, at Place) string {
	t.Helper()
	value := make([]byte, 64)
	n, err := unix.Getxattr(at.Target, "glusterfs.gfid.string", value)
	if err != nil || n < 4 {
		t.Fatalf("gfid %q, %v", value, err)
	}
	gfid := string(value[:n])
	return filepath.Join(".glusterfs", gfid[:2], gfid[2:4], gfid)
}

// Where no brick answers nobody waits for their names.
func TestNamesThatNobodyTellsAreNotWaitedFor(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	clusters := clients.ClustersFile(t, c.Servers())
	h := clients.NewHost(t, clusters)
	o := New(h, clusters, settings.New(clusters), nil)
	mounted := clients.Ensure(t, h, gv0)
	do(t, os.Mkdir(filepath.Join(mounted.Mountpoint(), "vol"), 0o755))
	at := Place{Device: mounted.Device(), Root: "/vol", Target: clients.Bind(t, mounted, "vol", 0)}
	do(t, c.StopServer(0), c.StopServer(1))
	ctx, cancel := context.WithTimeout(t.Context(), probe.AnswerLimit)
	defer cancel()
	if all := o.names.of(ctx, at); len(all) != 0 {
		t.Errorf("stopped bricks say %v", all)
	}
	do(t, c.ContinueServer(0), c.ContinueServer(1))
	testcluster.Eventually(t, clients.Patience, func() error {
		if all := o.names.of(t.Context(), at); len(all) != 2 {
			return fmt.Errorf("the bricks say %v", all)
		}
		return nil
	})
}
