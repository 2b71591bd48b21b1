// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package consistency

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

const patience = 30 * time.Second

// both runs do for two nodes at once.
func both(t *testing.T, a, b node, do func(n node, who string) error) {
	t.Helper()
	var group errgroup.Group
	group.Go(func() error { return do(a, "a") })
	group.Go(func() error { return do(b, "b") })
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// Most programs that lock never sync: what they wrote must be there when the next one has the lock.
func TestACounterUnderALockMissesNothing(t *testing.T) {
	const each = 50
	a, b := nodes(t, gluster.Strict)
	for name, lock := range map[string]locker{"fcntl": byFcntl, "flock": byFlock} {
		t.Run(name, func(t *testing.T) {
			file := "counter-" + name
			// Closed, for what a program has created and not closed, others on its node read from the kernel's cache.
			if err := os.WriteFile(a.path(file), []byte(value(0)), 0o600); err != nil {
				t.Fatal(err)
			}
			both(t, a, b, func(n node, _ string) error {
				counter, err := os.OpenFile(n.path(file), os.O_RDWR, 0)
				if err != nil {
					return err
				}
				defer counter.Close()
				for range each {
					err := lock.under(counter, func() error {
						text, err := read(counter)
						if err != nil {
							return err
						}
						count, err := strconv.Atoi(text)
						if err != nil {
							return err
						}
						_, err = counter.WriteAt([]byte(value(count+1)), 0)
						return err
					})
					if err != nil {
						return err
					}
				}
				return nil
			})
			if got, err := read(b.open(t, file, os.O_RDONLY)); err != nil || got != value(2*each) {
				t.Errorf("counted to %s (%v), want %s", got, err, value(2*each))
			}
		})
	}
}

func TestAppendsOfTwoNodesAreAllThere(t *testing.T) {
	const each = 200
	a, b := nodes(t, gluster.Strict)
	if err := os.WriteFile(a.path("log"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	both(t, a, b, func(n node, who string) error {
		log, err := os.OpenFile(n.path("log"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		defer log.Close()
		for i := range each {
			if _, err := fmt.Fprintf(log, "%s %d\n", who, i); err != nil {
				return err
			}
		}
		return nil
	})
	data, err := os.ReadFile(b.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int{}
	for line := range strings.Lines(string(data)) {
		there[line]++
	}
	for _, who := range []string{"a", "b"} {
		for i := range each {
			if n := there[fmt.Sprintf("%s %d\n", who, i)]; n != 1 {
				t.Errorf("append %d of %s is there %d times", i, who, n)
			}
		}
	}
}

// A program that maps is told so, rather than to work on old bytes: SQLite's WAL mode is one.
func TestStrictRefusesASharedMapping(t *testing.T) {
	a, _ := nodes(t, gluster.Strict)
	if err := os.WriteFile(a.path("unmapped"), make([]byte, os.Getpagesize()), 0o600); err != nil {
		t.Fatal(err)
	}
	file := a.open(t, "unmapped", os.O_RDWR)
	memory, err := unix.Mmap(int(file.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if !errors.Is(err, unix.ENODEV) {
		t.Errorf("got %v, want ENODEV", errors.Join(err, unix.Munmap(memory)))
	}
}
