// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one of this computer's processes at the moment it was read.
type process struct {
	pid, parent int
	state       byte   // as in proc_pid_stat(5): T is stopped, Z a zombie
	started     uint64 // with the pid it names a process for good, as pids are used again
	args        []string
}

func (p process) String() string {
	return fmt.Sprintf("process %d (%c): %s", p.pid, p.state, strings.Join(p.args, " "))
}

// processes are those that match, without zombies.
func processes(match func(process) bool) ([]process, error) {
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
		p, err := readProcess(pid) // fails when it has just ended
		if err == nil && p.state != 'Z' && match(p) {
			found = append(found, p)
		}
	}
	return found, nil
}

func readProcess(pid int) (process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	cmdline, err := commandLine(pid)
	if err != nil {
		return process{}, err
	}
	p, err := parseStat(stat)
	p.pid = pid
	p.args = strings.Split(strings.TrimRight(cmdline, "\x00"), "\x00")
	return p, err
}

// commandLine is empty for a thread of the kernel.
func commandLine(pid int) (string, error) {
	const moments = 100
	for range moments {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || len(line) > 0 {
			return string(line), err
		}
		if _, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil {
			break
		}
		time.Sleep(time.Millisecond) // it is about to become another program
	}
	return "", nil
}

// parseStat reads the fields state (3), ppid (4) and starttime (22). They are counted from the last parenthesis: the name before it
// may hold anything.
func parseStat(stat []byte) (process, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return process{}, fmt.Errorf("malformed stat %q", stat)
	}
	parent, err := strconv.Atoi(fields[1])
	started, err2 := strconv.ParseUint(fields[19], 10, 64)
	return process{state: fields[0][0], parent: parent, started: started}, errors.Join(err, err2)
}

// namespace names one of its namespaces, e.g. mnt:[4026532281]. It is empty when the process has ended.
func (p process) namespace(kind string) string {
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.pid, kind))
	if err != nil {
		return ""
	}
	return name
}

// isWithin says whether it is in one of these namespaces.
func (p process) isWithin(names []string) bool {
	return slices.ContainsFunc(namespaceKinds, func(kind string) bool {
		name := p.namespace(kind)
		return name != "" && slices.Contains(names, name)
	})
}

// option is the argument that follows name on the command line, or "".
func (p process) option(name string) string {
	if i := slices.Index(p.args, name); i >= 0 && i+1 < len(p.args) {
		return p.args[i+1]
	}
	return ""
}

// signal sends a signal to this very process, and does nothing when it has ended.
func (p process) signal(signal syscall.Signal) error {
	handle, err := os.FindProcess(p.pid) // by pidfd: what is looked at next is what gets the signal
	if err != nil {
		return nil
	}
	defer func() { _ = handle.Release() }()
	if now, err := readProcess(p.pid); err != nil || now.started != p.started {
		return nil
	}
	if err := handle.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%v to %v: %w", signal, p, err)
	}
	return nil
}

// endAll kills what find finds until it finds nothing any more.
func endAll(ctx context.Context, find func() ([]process, error)) error {
	return poll(ctx, "processes to end", func() error {
		left, err := find()
		if err != nil || len(left) == 0 {
			return err
		}
		for _, p := range left {
			err = errors.Join(err, p.signal(syscall.SIGKILL))
		}
		return errors.Join(err, fmt.Errorf("still there: %v", left))
	})
}
