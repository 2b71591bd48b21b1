// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one line of /proc at the moment it was read.
type process struct {
	pid, parent int
	state       byte   // as in proc(5): T is stopped, Z is a zombie
	start       uint64 // clock ticks since boot: with the pid it names a process for good, as pids are reused
	args        []string
}

func (p process) String() string {
	return fmt.Sprintf("process %d (%c): %s", p.pid, p.state, strings.Join(p.args, " "))
}

// processes lists all processes. One that ends meanwhile is left out, and so is one that is just being given another
// program: then the kernel closes what the process before had open, and whoever reads /proc/PID waits with it for a server
// that hangs.
func processes() ([]process, error) {
	const patience = time.Second // it takes microseconds
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		read := make(chan process, 1)
		err = Within(patience, func() error {
			p, err := readProcess(pid)
			read <- p
			return err
		})
		if err == nil {
			found = append(found, <-read)
		}
	}
	return found, nil
}

func readProcess(pid int) (process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return process{}, err
	}
	p, err := parseStat(stat)
	if err != nil {
		return process{}, err
	}
	p.pid = pid
	if args := bytes.TrimRight(cmdline, "\x00"); len(args) > 0 {
		p.args = strings.Split(string(args), "\x00")
	}
	return p, nil
}

// parseStat reads the fields state (3), ppid (4) and starttime (22) of proc_pid_stat(5). They are counted from the last
// parenthesis, as the command's name before it may hold anything.
func parseStat(stat []byte) (process, error) {
	_, rest, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	fields := strings.Fields(string(rest))
	if !ok || len(fields) < 20 {
		return process{}, fmt.Errorf("malformed stat %q", stat)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return process{}, err
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return process{}, err
	}
	return process{state: fields[0][0], parent: parent, start: start}, nil
}

// isGluster says that this is one of GlusterFS's own programs.
func (p process) isGluster() bool {
	if len(p.args) == 0 {
		return false
	}
	name := filepath.Base(p.args[0])
	return strings.HasPrefix(name, "gluster") || name == "glfsheal"
}

// mentions says that an argument contains text.
func (p process) mentions(text string) bool {
	return slices.ContainsFunc(p.args, func(arg string) bool { return strings.Contains(arg, text) })
}

// signal sends sig to this very process and is a no-op when it is gone, even if another has its pid by now.
func (p process) signal(sig syscall.Signal) error {
	handle, err := os.FindProcess(p.pid) // a pidfd: what is checked next is what gets the signal
	if err != nil {
		return nil
	}
	defer func() { _ = handle.Release() }()
	if now, err := readProcess(p.pid); err != nil || now.start != p.start {
		return nil
	}
	if err := handle.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%v to %v: %w", sig, p, err)
	}
	return nil
}

// glusterBelow lists GlusterFS's processes that name something below dir on their command line: every daemon of a server
// does, as its pid file, its log or its brick lies there.
func glusterBelow(dir string) ([]process, error) {
	return filterProcesses(func(p process) bool { return p.isGluster() && p.mentions(dir+"/") })
}

func filterProcesses(match func(process) bool) ([]process, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(p process) bool { return !match(p) }), nil
}

// endAll kills what find finds until it finds nothing: a dying glusterd may just have forked. SIGKILL ends a stopped
// process too.
func endAll(ctx context.Context, find func() ([]process, error)) error {
	return Poll(ctx, func() error {
		left, err := find()
		if err != nil || len(left) == 0 {
			return err
		}
		for _, p := range left {
			if err := p.signal(syscall.SIGKILL); err != nil {
				return err
			}
		}
		return fmt.Errorf("still there: %v", left)
	})
}

// killDaemons is endAll for daemons that are to be started again. It removes their pid files, too: glusterd takes a process
// that is dead but not yet reaped for a running brick, and an init may be slow to reap.
func killDaemons(ctx context.Context, find func() ([]process, error)) error {
	daemons, err := find()
	if err != nil {
		return err
	}
	if err := endAll(ctx, find); err != nil {
		return err
	}
	for _, p := range daemons {
		if file := p.valueOf("-p"); file != "" {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// signalAll sends sig to what find finds until everything found satisfies done (signals take effect a little later).
func signalAll(ctx context.Context, sig syscall.Signal, find func() ([]process, error), done func(process) bool) error {
	return Poll(ctx, func() error {
		found, err := find()
		if err != nil {
			return err
		}
		for _, p := range found {
			if !done(p) {
				err = errors.Join(err, p.signal(sig), fmt.Errorf("waiting after %v for %v", sig, p))
			}
		}
		return err
	})
}
