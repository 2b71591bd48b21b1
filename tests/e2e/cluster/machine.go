// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

// bootTitle is what a machine's first process is called before it is titled.
const bootTitle = "glusterfs-csi-e2e-boot"

// namespaceKinds are what a machine has of its own.
var namespaceKinds = []string{"mnt", "net", "uts", "ipc", "pid"}

// machine is a computer made of namespaces, with a disk that outlives them: a directory. It is started by start, and ended as by
// pulling its plug: killing the first process of its pid namespace kills all others, and its mounts and network go with them.
type machine struct {
	name    string
	address string // IPv4, on the LAN
}

// dir holds what is the machine's: its disk and what lies over /etc.
func (m *machine) dir() string { return cache.Path("run", m.name) }

// title is what the machine's first process is called, by which it is found again: nothing about a running machine is remembered, all
// is read from /proc.
func (m *machine) title() string { return m.dir() }

// disk is the machine's root directory, as seen from outside. What is mounted in it is not.
func (m *machine) disk() string { return filepath.Join(m.dir(), "disk") }

// first is the first process of the machine.
func (m *machine) first() (process, error) {
	found, err := processes(func(p process) bool { return p.args[0] == m.title() })
	if err != nil {
		return process{}, err
	}
	for _, p := range found {
		// Its child is called the same for a moment.
		if !slices.ContainsFunc(found, func(other process) bool { return other.pid == p.parent }) {
			return p, nil
		}
	}
	return process{}, fmt.Errorf("%s is not running", m.name)
}

// path is where this process finds a file of the running machine, with everything that is mounted there.
func (m *machine) path(file string) (string, error) {
	first, err := m.first()
	if err != nil {
		return "", err
	}
	return filepath.Join("/proc", strconv.Itoa(first.pid), "root", file), nil
}

// start makes the machine's namespaces, if it does not run, and returns when its file systems are mounted. See boot.
func (m *machine) start(ctx context.Context, hosts map[string]string) error {
	if _, err := m.first(); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	b := boot{Machine: m.name, Title: m.title(), Dir: m.dir(), Log: cache.Path("log", m.name), Hosts: hosts,
		Programs: cache.Path("bin"), Certificates: cache.Path("run", "pki")}
	plan, err := json.Marshal(b)
	if err != nil {
		return err
	}
	report, written, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = report.Close() }()
	cmd := exec.Command("/proc/self/exe", string(plan))
	cmd.Args[0] = bootTitle
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{written}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWPID,
		Setsid:     true, // an interrupt from the terminal is not for it
	}
	err = cmd.Start()
	_ = written.Close()
	if err != nil {
		return fmt.Errorf("start %s: %w", m.name, err)
	}
	go func() { _ = cmd.Wait() }() // so that no zombie is left if it ends before this process
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	// The descriptor closes when tini takes the place of the boot program.
	failure, err := io.ReadAll(report)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return fmt.Errorf("start %s: %w", m.name, err)
	}
	if len(failure) > 0 {
		return fmt.Errorf("start %s: %s", m.name, failure)
	}
	return poll(ctx, m.name+" to start", func() error { _, err := m.first(); return err }) // it gets its title a moment later
}

const bootTimeout = 30 * time.Second

// stop kills everything on the machine, and whatever of this computer has entered one of its namespaces, as kubectl does. It returns
// when all of it has ended.
func (m *machine) stop(ctx context.Context) error {
	held, release := m.hold()
	defer release()
	err := endAll(ctx, func() ([]process, error) {
		return processes(func(p process) bool { return p.args[0] == m.title() || p.isWithin(held) })
	})
	if err != nil {
		return fmt.Errorf("stop %s: %w", m.name, err)
	}
	return nil
}

// hold keeps the machine's namespaces, so that nobody else's get their numbers meanwhile. There are none if it does not run.
func (m *machine) hold() (held []string, release func()) {
	var files []*os.File
	release = func() {
		for _, file := range files {
			_ = file.Close()
		}
	}
	first, err := m.first()
	if err != nil {
		return nil, release
	}
	for _, kind := range namespaceKinds {
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", first.pid, kind))
		if err != nil {
			continue // it has just ended
		}
		files = append(files, file)
		if name := first.namespace(kind); name != "" {
			held = append(held, name)
		}
	}
	return held, release
}

// processes are those on the machine itself that match: none of a container, though one may share the pid namespace.
func (m *machine) processes(match func(process) bool) ([]process, error) {
	first, err := m.first()
	if err != nil {
		return nil, err
	}
	pid, mnt := first.namespace("pid"), first.namespace("mnt")
	return processes(func(p process) bool { return match(p) && p.namespace("pid") == pid && p.namespace("mnt") == mnt })
}
