// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/procfs"
)

// Find finds the running clients of this mount namespace, as mount point → pid. A client is recognised by its program
// and its last argument. A process in another mount namespace is none of ours, whatever a pod calls it.
func Find() (map[string]int, error) {
	namespace, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, p := range all {
		mountpoint, ok := Mountpoint(p.PID)
		if !ok {
			continue
		}
		if other, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", p.PID)); err != nil || other != namespace {
			continue
		}
		// A client forks now and then, and until its child runs another program, the two look alike.
		if parent, err := mountpointOfParent(p); err != nil || parent != mountpoint {
			found[mountpoint] = p.PID
		}
	}
	return found, nil
}

// Mountpoint is the last argument of a process that is a client. One that ended has no arguments any more.
func Mountpoint(pid int) (string, bool) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return "", false
	}
	args, err := p.CmdLine()
	if err != nil {
		return "", false
	}
	// Under user-mode emulation the emulator comes first.
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			break
		}
		if filepath.Base(arg) == program {
			return args[len(args)-1], len(args) > 1
		}
	}
	return "", false
}

func mountpointOfParent(p procfs.Proc) (string, error) {
	stat, err := p.Stat()
	if err != nil {
		return "", err
	}
	mountpoint, _ := Mountpoint(stat.PPID)
	return mountpoint, nil
}

// WatchClient watches the client with this mount point, or returns nil if that process ended.
func WatchClient(pid int, mountpoint string) (*Process, error) {
	p, err := watch(pid, false)
	if still, _ := Mountpoint(pid); still != mountpoint {
		// The number is another's now: a process's, or a thread's, which cannot be watched.
		if err == nil {
			p.Forget()
		}
		return nil, nil
	}
	return p, err
}

// EndClient ends the client with this mount point, if it runs, and says whether it did.
func EndClient(mountpoint string) (ended bool, err error) {
	clients, err := Find()
	if err != nil {
		return false, err
	}
	pid, isRunning := clients[mountpoint]
	if !isRunning {
		return false, nil
	}
	p, err := WatchClient(pid, mountpoint)
	if err != nil || p == nil {
		return false, err
	}
	defer p.Forget()
	return true, p.End()
}
