// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package consistency

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const turns = 5

// oldReads is the shortest proof. The reader has the file open and has read it, be it that it wrote it itself; the writer, in turns,
// locks, writes, syncs and unlocks; the reader locks and reads. It returns how often that was what had been there before.
func oldReads(t *testing.T, reader, writer node, files int) (old int) {
	t.Helper()
	for n := range files {
		name := fmt.Sprintf("proof-%d-%d", time.Now().UnixNano(), n)
		if _, err := os.Stat(writer.path(name)); !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		mine := reader.open(t, name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
		for turn := range turns {
			err := locker(byFcntl).under(mine, func() error {
				got, err := read(mine)
				if turn > 0 && got != value(turn-1) {
					old++
				}
				if turn > 0 || err == nil {
					return err
				}
				_, err = mine.WriteAt([]byte("start"), 0)
				return errors.Join(err, mine.Sync(), second(read(mine)))
			})
			if err != nil {
				t.Fatal(err)
			}
			theirs := writer.open(t, name, os.O_RDWR)
			err = locker(byFcntl).under(theirs, func() error {
				_, err := theirs.WriteAt([]byte(value(turn)), 0)
				return errors.Join(err, theirs.Sync())
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return old
}

func value(turn int) string { return fmt.Sprintf("%05d", turn) }

func second(_ string, err error) error { return err }

func read(file *os.File) (string, error) {
	data := make([]byte, len(value(0)))
	n, err := file.ReadAt(data, 0)
	return string(data[:n]), err
}

const files, reads = 10, files * (turns - 1)

func TestWhatWasWrittenUnderALockIsReadUnderTheNext(t *testing.T) {
	a, b := nodes(t, gluster.Strict)
	if old := oldReads(t, a, b, files); old > 0 {
		t.Errorf("%d of %d reads gave what had been there before", old, reads)
	}
}

// The proof can fail: this is why there is strict.
func TestRelaxedClientsReadWhatWasThereBefore(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	const delay = "cluster.post-op-delay-secs" // else each turn takes the second for which a relaxed client remembers
	if err := c.SetOption(gv0, delay, "0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.SetOption(gv0, delay, "1"); err != nil {
			t.Error(err)
		}
	})
	a, b := nodes(t)
	if old := oldReads(t, a, b, 3); old == 0 {
		t.Errorf("none of %d reads gave what had been there before: is strict still needed?", 3*(turns-1))
	}
}

// GlusterFS takes the time of modification from the writer's clock and never turns it back, so it does not move where a node whose
// clock is ahead wrote last. The kernel drops what it remembers of a file only where it moved.
func TestStrictHoldsWhereClocksDiffer(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	b := mount(t, c, bothBricks, gluster.Strict)
	for _, test := range []struct {
		name string
		more []string
		want bool
	}{
		{"reads past the kernel's cache", nil, true},
		{"what a class gets that takes its cache back", []string{"direct-io-mode=off"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			ahead := mountAhead(t, c, append(test.more, gluster.Strict)...)
			old := oldReads(t, ahead, b, 2)
			if (old == 0) != test.want {
				t.Errorf("%d of %d reads gave what had been there before", old, 2*(turns-1))
			}
		})
	}
}

// mountAhead is mount by a client whose clock is an hour ahead.
func mountAhead(t *testing.T, c *testcluster.Cluster, options ...string) node {
	t.Helper()
	libraries, err := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
	if err != nil || len(libraries) != 1 {
		t.Fatalf("Debian's package faketime: %q, %v", libraries, err)
	}
	for name, value := range map[string]string{"LD_PRELOAD": libraries[0], "FAKETIME": "+3600", "FAKETIME_DONT_FAKE_MONOTONIC": "1"} {
		t.Setenv(name, value)
		defer func() { _ = os.Unsetenv(name) }() // for those who come later
	}
	return mount(t, c, bothBricks, options...)
}

// An operator who sets these has an application in mind that is alone, or does not lock.
func TestStrictHoldsWhateverTheVolumeCaches(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	a, b := nodes(t, gluster.Strict)
	for _, option := range [][3]string{
		{"performance.io-cache", "on", "off"},
		{"performance.nl-cache", "on", "off"},
		{"performance.read-ahead", "on", "off"},
		{"performance.readdir-ahead", "on", "off"},
		{"performance.md-cache-timeout", "60", "1"},
		{"performance.quick-read-cache-timeout", "60", "1"},
	} {
		if err := c.SetOption(gv0, option[0], option[1]); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.SetOption(gv0, option[0], option[2]); err != nil {
				t.Error(err)
			}
		})
	}
	for _, n := range []node{a, b} { // which learn it while they run
		testcluster.Eventually(t, patience, func() error {
			_, err := os.Stat(n.path(".meta/graphs/active/" + gv0 + "-nl-cache"))
			return err
		})
	}
	late := mount(t, c, bothBricks, gluster.Strict)
	for _, pair := range [][2]node{{a, b}, {b, a}, {late, a}} {
		if old := oldReads(t, pair[0], pair[1], 3); old > 0 {
			t.Errorf("%d of %d reads gave what had been there before", old, 3*(turns-1))
		}
	}
}
