// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package testcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestADistributedVolumeGrowsAndShrinks moves a 2×2 volume from its first disks to new ones, as an operator does,
// while a client uses it.
func TestADistributedVolumeGrowsAndShrinks(t *testing.T) {
	c := New(t, Options{Subvolumes: 2})
	if got := len(c.Servers()); got != 2 {
		t.Errorf("%d servers, want 2", got)
	}
	// See FinishRemoval.
	if err := c.SetOption("gv0", "cluster.lookup-optimize", "off"); err != nil {
		t.Fatal(err)
	}
	m := mount(t, c)
	const files = 24
	if err := os.Mkdir(filepath.Join(m.Path, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, m, "before", files)
	spread(t, c, "before", files, 0, 2)

	if err := c.AddSubvolume("gv0"); err != nil {
		t.Fatal(err)
	}
	connected(t, m, 4)
	if err := c.FixLayout("gv0"); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, m, "grown", files)
	spread(t, c, "grown", files, 0, 2, 4)

	removed := c.BrickPath("gv0", 0)
	if err := c.StartRemoval("gv0", 0); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, m, "during", files)
	if err := c.FinishRemoval("gv0", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(removed); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a removed brick: %v", err)
	}
	for _, prefix := range []string{"before", "grown", "during"} {
		readFiles(t, m, prefix, files)
		spread(t, c, prefix, files, 2, 4)
	}
	// A brick that is left has the number it had.
	if err := c.KillBrick("gv0", 4); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, m, "degraded", files)
	if err := c.StartBrick("gv0", 4); err != nil {
		t.Fatal(err)
	}
	connected(t, m, 4)
}

func writeFiles(t *testing.T, m *RawMount, prefix string, count int) {
	t.Helper()
	for i := range count {
		write(t, m, filepath.Join("dir", fmt.Sprint(prefix, i)), ioTimeout)
	}
}

func readFiles(t *testing.T, m *RawMount, prefix string, count int) {
	t.Helper()
	for i := range count {
		name := filepath.Join("dir", fmt.Sprint(prefix, i))
		data, err := os.ReadFile(filepath.Join(m.Path, name))
		if err != nil || string(data) != name {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

// spread checks that each of these bricks has some of the files, and that no file is missing on all. Files that DHT
// looks for elsewhere are there as empty pointers.
func spread(t *testing.T, c *Cluster, prefix string, count int, bricks ...int) {
	t.Helper()
	total := 0
	for _, number := range bricks {
		found := 0
		for i := range count {
			info, err := os.Stat(filepath.Join(c.BrickPath("gv0", number), "dir", fmt.Sprint(prefix, i)))
			if err == nil && info.Size() > 0 {
				found++
			}
		}
		if found == 0 {
			t.Errorf("brick %d has none of the files %s…", number, prefix)
		}
		total += found
	}
	if total != count {
		t.Errorf("bricks %v have %d files %s…, want %d", bricks, total, prefix, count)
	}
}
