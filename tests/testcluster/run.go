// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

const (
	// runVariable marks every process that this one starts, and theirs: /proc/PID/environ shows it even when all its
	// ancestors have gone. Its value is the base name of the run's directory.
	runVariable = "GLUSTERFS_CSI_TEST_RUN"
	// runPrefix is short because unix sockets lie below (their paths have at most 107 bytes).
	runPrefix = "gcsi-"

	// reclaimTimeout bounds each step of a clean-up. They take milliseconds; while a busy disk writes back what builds and
	// bricks have written, an unmount or a look at a process may wait for most of a minute.
	reclaimTimeout = time.Minute
)

// testRun is what everything made by this process has in common. Other test binaries, which `go test ./...` runs at the
// same time, have their own.
type testRun struct {
	mu       sync.Mutex
	users    int
	dir      string // holds all clusters and, under Main, all temporary files
	lock     *os.File
	clusters int
	networks []string // every /24 a cluster of this run has had, as "127.x.y."
}

var thisRun testRun

// open makes the run's directory if it is not there, and first removes what killed runs left.
func (r *testRun) open(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users == 0 {
		if err := sweep(ctx); err != nil {
			return fmt.Errorf("remove what an earlier run left: %w", err)
		}
		if err := r.make(); err != nil {
			return err
		}
	}
	r.users++
	return nil
}

func (r *testRun) make() error {
	// Held as long as this process lives, the lock tells sweep that the directory is in use. Whoever swept it between
	// the two calls has removed it: another one, then.
	for {
		dir, err := os.MkdirTemp("", runPrefix)
		if err != nil {
			return err
		}
		// Bricks answer for unprivileged users too, and MkdirTemp makes the directory for root alone.
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
		if lock, ok := lockDir(dir); ok {
			r.dir, r.lock = dir, lock
			return os.Setenv(runVariable, runName(dir))
		}
	}
}

// close removes the run's directory, which must be empty, when nobody uses it any more.
func (r *testRun) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users--
	if r.users > 0 {
		return nil
	}
	err := os.Remove(r.dir)
	return errors.Join(err, r.lock.Close())
}

// newCluster reserves a name and, unless there is a wire, a /24 of loopback addresses ("127.x.y.") whose first hosts are
// free on glusterd's port. It stays reserved until release is called.
func (r *testRun) newCluster(options Options) (dir, network string, release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if options.Wire != nil {
		network, release = wire.Network, func() {}
	} else if network, release, err = reserveNetwork(options.Servers); err != nil {
		return "", "", nil, err
	}
	r.clusters++
	r.networks = append(r.networks, network)
	return filepath.Join(r.dir, fmt.Sprintf("c%d", r.clusters)), network, release, nil
}

// owns says that p belongs to this run: by the mark it inherited, or, if its environment was cleaned, because it is a
// GlusterFS process that names one of the run's directories or servers. Servers behind a wire have the addresses that those
// of other runs have behind theirs. Descendants are for the caller to know.
func (r *testRun) owns(p process) bool {
	if marked(p, runName(r.dir)) {
		return true
	}
	return p.isGluster() && (p.mentions(r.dir+"/") || slices.ContainsFunc(r.networks, func(network string) bool {
		return network != wire.Network && p.mentions(network)
	}))
}

// runName is the value of runVariable in the run with this directory.
func runName(dir string) string { return filepath.Base(dir) }

func marked(p process, run string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
	return err == nil && slices.Contains(strings.Split(string(environ), "\x00"), runVariable+"="+run)
}

const (
	firstNetwork = 128 // 127.128.0.0/24 …
	lastNetwork  = 191 // … 127.191.255.0/24; the rest of 127/8 is left to people
)

// reserveNetwork needs no file: an abstract unix socket is the lock, and it goes with its process. Both it and loopback
// addresses belong to the network namespace.
func reserveNetwork(hosts int) (string, func(), error) {
	const count = (lastNetwork - firstNetwork + 1) * 256
	var last error
	for i := range count {
		n := (os.Getpid()*7 + i) % count // parallel processes begin at different places
		network := fmt.Sprintf("127.%d.%d.", firstNetwork+n/256, n%256)
		lock, err := net.Listen("unix", "@glusterfs-csi-test/"+network)
		if err != nil {
			last = err
			continue
		}
		if last = portsFree(network, hosts); last == nil {
			return network, func() { _ = lock.Close() }, nil
		}
		_ = lock.Close()
	}
	return "", nil, fmt.Errorf("no free loopback network (does a glusterd listen on every address?): %w", last)
}

func portsFree(network string, hosts int) error {
	for host := 1; host <= hosts; host++ {
		listener, err := net.Listen("tcp4", fmt.Sprintf("%s%d:%d", network, host, glusterdPort))
		if err != nil {
			return err
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return nil
}

// lockDir takes the lock of a directory and makes sure that it is still there.
func lockDir(dir string) (*os.File, bool) {
	held, err := os.Open(dir)
	if err != nil {
		return nil, false
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		if _, err := os.Stat(dir); err == nil {
			return held, true
		}
	}
	_ = held.Close()
	return nil, false
}

// sweep reclaims the directories of runs that died without cleaning up (`go test -timeout`, kill -9).
func sweep(ctx context.Context) error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), runPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		lock, ok := lockDir(dir)
		if !ok {
			continue
		}
		err = errors.Join(err, reclaim(ctx, dir, func(p process) bool { return marked(p, runName(dir)) }), lock.Close())
	}
	return err
}

// reclaim kills the processes that match and GlusterFS's own that name dir, unmounts what is below dir and removes it. It
// does nothing where there is nothing. An error names what is left.
func reclaim(ctx context.Context, dir string, match func(process) bool) error {
	step := func(what string, do func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reclaimTimeout)
		defer cancel()
		if err := do(ctx); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	// Unmounted first, so that clients may end by themselves; killed, so that they do it now.
	err := step("unmount", func(ctx context.Context) error { return Poll(ctx, func() error { return detachBelow(dir) }) })
	err = errors.Join(err, step("end processes", func(ctx context.Context) error {
		return endAll(ctx, func() ([]process, error) {
			return filterProcesses(func(p process) bool {
				return p.pid != os.Getpid() && p.state != 'Z' && (match(p) || p.isGluster() && p.mentions(dir+"/"))
			})
		})
	}))
	if err != nil {
		return err // never remove through something that is still mounted
	}
	letGoBelow(dir)
	// Before their nodes go, which may lie below dir.
	err = step("detach loop devices", func(ctx context.Context) error { return Poll(ctx, func() error { return detachLoops(dir) }) })
	if err != nil {
		return err
	}
	return step("remove", func(ctx context.Context) error { return Poll(ctx, func() error { return os.RemoveAll(dir) }) })
}
