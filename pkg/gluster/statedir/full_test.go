// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package statedir

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAFullDiskLeavesWhatWasWrittenBefore(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("test", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	root, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	restarts := []Restart{{First: 7}}
	if err := root.WriteRestarts(restarts); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteRestarts(slices.Repeat(restarts, 1000)); err == nil {
		t.Error("there was room")
	}
	if got, err := root.Restarts(); err != nil || len(got) != 1 || got[0].First != 7 {
		t.Errorf("%+v, %v", got, err)
	}
}
