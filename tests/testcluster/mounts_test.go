// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package testcluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// hasAContainer is a run that mounts something and starts a process with a copy of its mounts. It says where it has
// mounted, and ends when its input does.
func hasAContainer() int {
	target := filepath.Join(os.TempDir(), "mnt")
	if err := os.Mkdir(target, 0o700); err != nil {
		return fail(err)
	}
	if err := unix.Mount("tmpfs", target, "tmpfs", 0, ""); err != nil {
		return fail(err)
	}
	container := exec.Command("cat")
	container.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	stdin, err := container.StdinPipe()
	if err != nil {
		return fail(err)
	}
	if err := container.Start(); err != nil {
		return fail(err)
	}
	fmt.Println(target)
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = stdin.Close()
	_ = container.Wait()
	return fail(errors.Join(unix.Unmount(target, 0), os.Remove(target)))
}

// TestWhatARunMountsIsInNoContainerOfAnother: a container of another test binary that had a copy of a client's mount
// kept the client from ending for as long as it lived, whatever the client's own test detached.
func TestWhatARunMountsIsInNoContainerOfAnother(t *testing.T) {
	m := mount(t, Shared(t, Options{}))
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), childVariable+"=has a container")
	other.Stderr = os.Stderr
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatal("the other run says nothing")
	}
	if theirs, err := mountsBelow(lines.Text()); err != nil || len(theirs) > 0 || !strings.HasPrefix(lines.Text(), "/") {
		t.Errorf("what another run has mounted at %q is seen here: %v, %v", lines.Text(), theirs, err)
	}
	if err := detachBelow(m.Path); err != nil {
		t.Fatal(err)
	}
	if err := Within(lingerTimeout, func() error { <-m.exited; return nil }); err != nil {
		t.Errorf("the client of a mount that was detached goes on beside another run's container: %v", err)
	}
	_ = stdin.Close()
	if err := other.Wait(); err != nil {
		t.Error(err)
	}
}

// What glusterd writes to a fixed name of the temporary directory would be another server's, too, and another run's.
func TestAServersTemporaryFilesAreItsOwn(t *testing.T) {
	c := Shared(t, Options{})
	file := filepath.Join(temporary, runName(thisRun.dir)+".of-a-server")
	inServer := func(i int, do func() error) {
		t.Helper()
		if err := inNamespacesOf(c.servers[i].pid, do); err != nil {
			t.Errorf("server %d: %v", i, err)
		}
	}
	for i := range c.servers {
		inServer(i, func() error { return os.WriteFile(file, []byte(c.Servers()[i]), 0o600) })
	}
	for i, want := range c.Servers() {
		inServer(i, func() error {
			content, err := os.ReadFile(file)
			if string(content) != want {
				err = errors.Join(err, fmt.Errorf("it has %q, want %q", content, want))
			}
			return errors.Join(err, os.Remove(file))
		})
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is in everybody's: %v", err)
	}
}
