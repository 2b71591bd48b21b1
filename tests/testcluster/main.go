// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// exitTimeout is how long what the tests ended may take to be gone. A client exits about 10 ms after its last user.
const exitTimeout = 5 * time.Second

// Main is the TestMain of every package whose tests start processes or mount something. It runs the tests, a testing.M or what prepares
// something for one, with a temporary directory of their own (TMPDIR, so t.TempDir too) and in a mount namespace of their own (see ownMounts),
// closes the clusters of Shared, and makes the run fail with a list if a process, a mount or a file is left then.
// Whatever is left it removes, also after an interrupt. It does not return.
func Main(tests interface{ Run() int }) {
	// A fuzzing worker is killed whenever its coordinator likes; what it makes, the coordinator's own Main looks after.
	if slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.fuzzworker") }) {
		os.Exit(tests.Run())
	}
	os.Exit(check(tests))
}

// check is Main for anything that runs like a testing.M. It returns the exit code.
func check(tests interface{ Run() int }) int {
	if err := ownMounts(); err != nil {
		fmt.Fprintln(os.Stderr, "testcluster: a mount namespace for this run:", err)
		return 1
	}
	code, err := runTests(tests)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testcluster:", err)
		code = max(code, 1)
	}
	return code
}

func runTests(tests interface{ Run() int }) (code int, err error) {
	if err := thisRun.open(context.Background()); err != nil {
		return 1, err
	}
	for _, variable := range []string{"TMPDIR", "GOTMPDIR"} {
		if err := os.Setenv(variable, thisRun.dir); err != nil {
			return 1, err
		}
	}
	endOnInterrupt()
	before := Snapshot()
	code = tests.Run()

	err = shared.close()
	ctx, cancel := context.WithTimeout(context.Background(), exitTimeout)
	defer cancel()
	err = errors.Join(err, Poll(ctx, func() error {
		if leaks := before.Leaks(); len(leaks) > 0 {
			return fmt.Errorf("left behind by the tests:\n\t%s", strings.Join(leaks, "\n\t"))
		}
		return nil
	}))
	err = errors.Join(err, thisRun.reclaim())
	removeControlGroups()
	return code, err
}

// endOnInterrupt makes SIGINT and SIGTERM end the run without leaving anything.
func endOnInterrupt() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		got := <-signals
		if err := thisRun.reclaim(); err != nil {
			fmt.Fprintln(os.Stderr, "testcluster:", err)
		}
		os.Exit(128 + int(got.(syscall.Signal)))
	}()
}

// reclaim ends and removes everything of this run, its directory included.
func (r *testRun) reclaim() error {
	var err error
	for _, m := range r.mounts() {
		err = errors.Join(err, detachBelow(m.Mountpoint))
	}
	owned := map[identity]bool{}
	for _, p := range r.processes() {
		owned[identity{p.pid, p.start}] = true
	}
	return errors.Join(err, reclaim(context.Background(), r.dir, func(p process) bool {
		return owned[identity{p.pid, p.start}] || marked(p, runName(r.dir))
	}))
}

// shared are the clusters that the tests of this package use together.
var shared sharedClusters

type sharedClusters struct {
	mu       sync.Mutex
	clusters map[Options]*Cluster
}

// Shared is the cluster with these options that all tests of the package use together; the first call starts it, and Main
// closes it. A test should use a volume or directory of its own in it, and break nothing that it does not mend.
func Shared(t testing.TB, options Options) *Cluster {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if c := shared.clusters[options]; c != nil {
		return c
	}
	c, err := Start(t.Context(), options)
	if err != nil {
		t.Fatalf("start the shared test cluster: %v", err)
	}
	if shared.clusters == nil {
		shared.clusters = map[Options]*Cluster{}
	}
	shared.clusters[options] = c
	return c
}

func (s *sharedClusters) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, c := range s.clusters {
		err = errors.Join(err, c.Close())
	}
	return err
}
