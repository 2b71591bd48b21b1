// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copies

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

// full says that the sizes are those of the acceptance: see docs/development.md.
var full = os.Getenv("COPY_FULL") != ""

// sized is a number of files for a quick run or a full one.
func sized(quick, all int) int {
	if full {
		return all
	}
	return quick
}

// mount mounts gv0 as the controller does, with ACLs.
func mount(t *testing.T, o testcluster.Options) string {
	t.Helper()
	return mountOf(t, testcluster.Shared(t, o))
}

func mountOf(t *testing.T, c *testcluster.Cluster) string {
	t.Helper()
	m, err := c.Mount(t.Context(), "gv0", gluster.Arguments("gv0", []string{gluster.FreshNames, "acl"})...)
	must(t, err)
	t.Cleanup(func() { must(t, m.Close()) })
	return m.Path
}

// everywhere runs a test on a local file system and on GlusterFS.
func everywhere(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	t.Run("local", func(t *testing.T) { test(t, newBench(t, t.TempDir())) })
	t.Run("GlusterFS", func(t *testing.T) { test(t, newBench(t, onGluster(t, mount(t, testcluster.Options{})))) })
}

// onGluster is a directory of the test's own. It goes with the cluster: to remove 200,000 files by a client takes longer
// than a test.
func onGluster(t *testing.T, mount string) string {
	t.Helper()
	dir, err := os.MkdirTemp(mount, "t") //nolint:usetesting // it is to be on the mount
	must(t, err)
	return dir
}

// plantRoots makes what root alone may make, and marks that are not to be copied.
func (b *bench) plantRoots() {
	b.t.Helper()
	src := func(path string) string { return b.at("src", path) }
	must(b.t, os.MkdirAll(src("root/acl"), 0o755))
	b.write("src/root/owned", "x")
	b.write("src/root/setuid", "x")
	b.write("src/root/attributes", "x")
	must(b.t, unix.Mknod(src("root/char"), unix.S_IFCHR|0o640, int(unix.Mkdev(1, 3))), unix.Mknod(src("root/block"), unix.S_IFBLK|0o606, int(unix.Mkdev(7, 300))))
	must(b.t, os.Symlink("owned", src("root/link")), os.Lchown(src("root/link"), 1001, 2002))
	must(b.t, os.Chown(src("root/owned"), 1001, 0), os.Chown(src("root/setuid"), 1001, 2002), unix.Chmod(src("root/setuid"), 0o6711))
	must(b.t, os.Chown(src("root/char"), 1001, 2002), os.Chown(src("root/acl"), 1001, 2002), unix.Chmod(src("root/acl"), 0o3771))
	at := src("root/attributes")
	must(b.t, unix.Setxattr(at, "user.one", []byte("1"), 0), unix.Setxattr(at, "user.none", nil, 0), unix.Setxattr(at, "user.bytes", []byte{0, 255, 0}, 0))
	must(b.t, unix.Setxattr(src("root"), "user.of a directory", []byte("1"), 0))
	for _, path := range []string{"root", "root/attributes", "root/link", "."} {
		must(b.t, unix.Lsetxattr(src(path), "trusted.csi.volume", []byte("the driver's mark"), 0))
	}
	must(b.t, unix.Setxattr(at, "security.foo", []byte("this machine's"), 0))
	must(b.t, unix.Setxattr(at, accessACL, acl, 0), unix.Setxattr(src("root/acl"), accessACL, acl, 0), unix.Setxattr(src("root/acl"), defaultACL, acl, 0))
	b.write("src/root/acl/inherits", "x")
}

// acl is user::rw-,user:1000:r--,group::r--,mask::rw-,other::---.
var acl = []byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\xe8\x03\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff" +
	"\x10\x00\x06\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff")

// plantMany makes small files, in directories of 100.
func (b *bench) plantMany(under string, files int) {
	b.t.Helper()
	var all errgroup.Group
	all.SetLimit(workers)
	for i := range files {
		if i%100 == 0 {
			must(b.t, os.MkdirAll(b.at(under, strconv.Itoa(i/100)), 0o755))
		}
		all.Go(func() error {
			return os.WriteFile(b.at(under, strconv.Itoa(i/100), fmt.Sprint("f", i)), []byte(fmt.Sprint("content of ", i)), 0o644)
		})
	}
	must(b.t, all.Wait())
}

// plantDeep makes directories in each other, a file in each.
func (b *bench) plantDeep(depth int) {
	b.t.Helper()
	at, err := unix.Open(b.at("src"), unix.O_PATH|unix.O_DIRECTORY, 0)
	must(b.t, err)
	for range depth {
		must(b.t, unix.Mkdirat(at, "d", 0o750), unix.Mknodat(at, "f", unix.S_IFREG|0o640, 0))
		next, err := unix.Openat(at, "d", unix.O_PATH|unix.O_DIRECTORY, 0)
		must(b.t, err, unix.Close(at))
		at = next
	}
	must(b.t, unix.Close(at))
}

func trusted(t *testing.T, path string) bool {
	t.Helper()
	value := make([]byte, 255)
	_, err := unix.Lgetxattr(path, "trusted.csi.volume", value)
	return err == nil
}
