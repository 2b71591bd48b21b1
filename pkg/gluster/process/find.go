// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ask"
)

// Find finds the running clients of this mount namespace, and those among these other processes, as mount point → pid. A client is
// recognised by its program and its last argument. Any other process in another mount namespace is none of ours, whatever a pod calls it,
// and is asked nothing. The error names those of which nothing was to be had in time; what was found is found all the same.
func Find(others ...int) (map[string]int, error) { return proc.find(others) }

func (p procDir) find(others []int) (map[string]int, error) {
	namespace, err := os.Readlink(filepath.Join(string(p), "self/ns/mnt"))
	if err != nil {
		return nil, err
	}
	fs, err := procfs.NewFS(string(p))
	if err != nil {
		return nil, err
	}
	all, err := fs.AllProcs()
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	var silent []error
	for _, process := range all {
		if !slices.Contains(others, process.PID) {
			other, err := ask.Process(process.PID, func() (string, error) { return os.Readlink(p.path(process.PID, "ns/mnt")) }, nil)
			if errors.Is(err, unix.ETIMEDOUT) && p.mayBeClient(process.PID) {
				silent = append(silent, err)
			}
			if err != nil || other != namespace {
				continue
			}
		}
		mountpoint, err := p.mountpoint(process.PID)
		if errors.Is(err, unix.ETIMEDOUT) {
			silent = append(silent, err)
		}
		if mountpoint == "" {
			continue
		}
		// A client forks now and then, and until its child runs another program, the two look alike.
		if parent, err := p.mountpointOfParent(process); err != nil || parent != mountpoint {
			found[mountpoint] = process.PID
		}
	}
	return found, errors.Join(silent...)
}

// mayBeClient says that a process has the arguments of a client, or does not show them. One that is being given another
// program has none.
func (p procDir) mayBeClient(pid int) bool {
	mountpoint, err := p.mountpoint(pid)
	return err != nil || mountpoint != ""
}

// Mountpoint is the last argument of a process that is a client. One that ended has no arguments any more.
func Mountpoint(pid int) (string, bool) {
	mountpoint, err := proc.mountpoint(pid)
	return mountpoint, err == nil && mountpoint != ""
}

// mountpoint is "" for a process that is no client, or has ended. Its error says that nobody can tell.
func (p procDir) mountpoint(pid int) (string, error) {
	args, err := p.arguments(pid)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	// Under user-mode emulation the emulator comes first.
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			break
		}
		if filepath.Base(arg) == program && len(args) > 1 {
			return args[len(args)-1], nil
		}
	}
	return "", nil
}

func (p procDir) mountpointOfParent(process procfs.Proc) (string, error) {
	stat, err := process.Stat()
	if err != nil {
		return "", err
	}
	return p.mountpoint(stat.PPID)
}

// WatchClient watches the client with this mount point, or returns nil if that process ended.
func WatchClient(pid int, mountpoint string) (*Process, error) {
	p, err := watch(pid, false)
	still, showErr := proc.mountpoint(pid)
	if err == nil && (showErr != nil || still != mountpoint) {
		p.Forget()
	}
	if showErr != nil {
		return nil, fmt.Errorf("tell whether a client still runs: %w", showErr)
	}
	if still != mountpoint {
		return nil, nil // the number is another's now: a process's, or a thread's, which cannot be watched
	}
	return p, err
}

// EndClient ends the client with this mount point, if it runs, and says whether it did. others are as for Find.
func EndClient(mountpoint string, others []int) (ended bool, err error) {
	clients, err := Find(others...)
	pid, isRunning := clients[mountpoint]
	if !isRunning {
		return false, err
	}
	p, err := WatchClient(pid, mountpoint)
	if err != nil || p == nil {
		return false, err
	}
	defer p.Forget()
	return true, p.End()
}
