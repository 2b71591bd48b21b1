// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package repair

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
)

// TestTheNamesOfADirectoryAreNotLookedUpOneByOne: what was read, the kernel knows, so a client that is stopped need not
// be asked for it.
func TestTheNamesOfADirectoryAreNotLookedUpOneByOne(t *testing.T) {
	h := clients.SharedHost(t)
	maker := clients.Ensure(t, h, gv0)
	for i := range 2 * readFrom {
		clients.MakeFile(t, maker, fmt.Sprintf("names/volume-%d/file", i))
		clients.MakeFile(t, maker, fmt.Sprintf("many-names/volume-%d/file", i))
	}
	for i := range readFrom * namesPerOpen {
		if err := os.MkdirAll(filepath.Join(maker.Mountpoint(), fmt.Sprintf("many-names/other-%d", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := clients.Ensure(t, h, gv0, "entry-timeout=600", "attribute-timeout=600")
	root, err := safepath.OpenRoot(c.Mountpoint())
	if err != nil {
		t.Fatal(err)
	}
	replaced := newReplacement(root)
	open := func(root string) error {
		fd, err := replaced.open(root)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}
	for i := range readFrom {
		if err := errors.Join(open(fmt.Sprintf("/names/volume-%d", i)), open(fmt.Sprintf("/many-names/volume-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	clients.Signal(t, c, unix.SIGSTOP)
	t.Cleanup(func() {
		clients.Signal(t, c, unix.SIGCONT)
		replaced.close()
		replaced.calls.Wait()
	})
	for i := range 2 * readFrom {
		if err := open(fmt.Sprintf("/names/volume-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(fmt.Sprintf("/many-names/volume-%d", readFrom)); !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("of a directory with far more entries than are opened, all were read: %v", err)
	}
}

// As one whose bricks are gone, a client that has died says ENOTCONN.
func TestARepairWaitsForBricks(t *testing.T) {
	h := clients.SharedHost(t)
	c := clients.Ensure(t, h, gv0)
	clients.MakeFile(t, c, "bricks")
	root, err := safepath.OpenRoot(c.Mountpoint())
	if err != nil {
		t.Fatal(err)
	}
	replaced := newReplacement(root)
	defer replaced.close()
	clients.Kill(t, c)
	h.Adopt(t.Context()) // which keeps its mounts
	_, err = replaced.open("/bricks/unknown")
	if got := lasting(mount.Report{Stale: []mount.Stale{{Err: err}}}); !errors.Is(err, unix.ENOTCONN) || len(got) > 0 {
		t.Errorf("it is said that %+v stays dead: %v", got, err)
	}
}
