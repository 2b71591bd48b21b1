// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

// environment is what programs on a machine get.
var environment = []string{"PATH=" + Programs + ":/usr/sbin:/usr/bin", "HOME=/root", "LANG=C.UTF-8"}

// command is a program in all namespaces of the machine, with its root directory as working directory. When ctx ends, the program
// is killed.
func (m *machine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return m.enter(ctx, []string{"--mount", "--net", "--uts", "--ipc", "--pid"}, name, args...)
}

// enter is a program in some of the machine's namespaces, as nsenter(1) names them.
func (m *machine) enter(ctx context.Context, namespaces []string, name string, args ...string) *exec.Cmd {
	first, err := m.first()
	line := append([]string{"--target", strconv.Itoa(first.pid)}, namespaces...)
	line = append(append(line, "--", name), args...)
	cmd := exec.CommandContext(ctx, "nsenter", line...)
	cmd.Env = environment
	if err != nil {
		cmd.Err = err
	}
	cmd.Cancel = func() error { return killEntered(cmd.Process) }
	cmd.WaitDelay = 5 * time.Second // nsenter itself is killed then
	return cmd
}

// killEntered ends the program that nsenter runs: nsenter follows it, and without nsenter nobody would end it.
func killEntered(nsenter *os.Process) error {
	children, err := processes(func(p process) bool { return p.parent == nsenter.Pid })
	if err != nil {
		return err
	}
	if len(children) == 0 {
		return nsenter.Kill()
	}
	for _, child := range children {
		err = errors.Join(err, child.signal(syscall.SIGKILL))
	}
	return err
}

// run runs a command to its end and returns what it printed on both outputs, which the error has, too.
func run(cmd *exec.Cmd) (string, error) {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return output.String(), fmt.Errorf("%s: %w: %s", describe(cmd), err, strings.TrimSpace(output.String()))
	}
	return output.String(), nil
}

// describe is the command line without nsenter.
func describe(cmd *exec.Cmd) string {
	_, line, found := strings.Cut(strings.Join(cmd.Args, " "), " -- ")
	if !found {
		return strings.Join(cmd.Args, " ")
	}
	return line
}

// daemon starts a program that goes on when this process has ended. Its output is added to the machine's log of that name.
func (m *machine) daemon(ctx context.Context, log string, line ...string) error {
	dir := cache.Path("log", m.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(dir, log+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	// setsid ends at once, and tini becomes the parent: nothing outside the machine is left waiting.
	cmd := m.command(ctx, "setsid", append([]string{"--fork"}, line...)...)
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", describe(cmd), err)
	}
	return nil
}
