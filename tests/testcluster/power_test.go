// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package testcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAPowerCutLosesWhatWasNotForced shows that the cut cuts, and nothing else: what was forced to the disks of a file
// system is there afterwards, what was done just before is not.
func TestAPowerCutLosesWhatWasNotForced(t *testing.T) {
	for name, options := range map[string]Options{
		"replica 2": {}, "arbiter": {Arbiter: true}, "2x2": {Subvolumes: 2},
	} {
		for _, kind := range []FileSystem{XFS, Ext4} {
			t.Run(name+" on "+string(kind), func(t *testing.T) {
				options.FileSystem = kind
				cutPower(t, New(t, options))
			})
		}
	}
}

func cutPower(t *testing.T, c *Cluster) {
	t.Helper()
	all := make([]int, len(c.servers))
	for i := range all {
		all[i] = i
	}
	m := mount(t, c)
	forced := 0
	// The kernel writes a log by itself every 5 s (ext4) or 30 s (XFS), by chance in between now and then.
	for attempt := range 5 {
		dir, file := fmt.Sprintf("dir%d", attempt), fmt.Sprintf("file%d", attempt)
		if err := Within(ioTimeout, func() error { return writeForced(filepath.Join(m.Path, file)) }); err != nil {
			t.Fatal(err)
		}
		forced++
		if err := os.Mkdir(filepath.Join(m.Path, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := c.PowerCut(all...); err != nil {
			t.Fatal(err)
		}
		for i := range c.bricks("gv0") {
			connected(t, m, i)
		}
		for i := range forced {
			data, err := os.ReadFile(filepath.Join(m.Path, fmt.Sprintf("file%d", i)))
			if err != nil || string(data) != "forced" {
				t.Fatalf("a file that was forced: %q, %v", data, err)
			}
		}
		lost := 0
		for i := range c.bricks("gv0") {
			if _, err := os.Stat(filepath.Join(c.BrickPath("gv0", i), dir)); errors.Is(err, os.ErrNotExist) {
				lost++
			}
		}
		if lost == len(c.bricks("gv0")) {
			return
		}
		t.Logf("%d of %d bricks have lost the directory", lost, len(c.bricks("gv0")))
	}
	t.Error("no cut lost a directory made just before on all bricks")
}

func writeForced(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteString("forced")
	return errors.Join(err, f.Sync(), f.Close())
}

func TestADirectoryOfTheTemporaryFileSystemCannotLosePower(t *testing.T) {
	err := Shared(t, Options{}).PowerCut(0)
	if err == nil || !strings.Contains(err.Error(), "would lose nothing") {
		t.Errorf("error %v", err)
	}
}
