// SPDX-License-Identifier: Apache-2.0

// Package programs runs programs that keep files, mappings and directories open, as applications do, until the test ends.
package programs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// variable makes a test binary a program of this package; see Main.
const variable = "TEST_PROGRAM"

// ready is what a program says when it has what it was told to have.
const ready = "ready"

// Main is called first by a TestMain whose tests run Mapper or Chrooted.
func Main() {
	verb, path, _ := strings.Cut(os.Getenv(variable), " ")
	var err error
	switch verb {
	case "map":
		err = mapFile(path)
	case "chroot":
		err = unix.Chroot(path)
		if err == nil {
			err = os.Chdir("/")
		}
	default:
		return
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(ready)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// mapFile maps a file twice, and closes it.
func mapFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for range 2 {
		data, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		_ = data[0]
	}
	return nil
}

// Mapper is a process that has a file mapped, and not open.
func Mapper(t testing.TB, path string) (pid int) { return ours(t, "map "+path) }

// Chrooted is a process whose root this is.
func Chrooted(t testing.TB, path string) (pid int) { return ours(t, "chroot "+path) }

func ours(t testing.TB, what string) (pid int) {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	// The race detector would wait for a second before the process ends.
	c.Env = append(os.Environ(), variable+"="+what, "GORACE=atexit_sleep_ms=0")
	return Start(t, c)
}

// Shell is a shell that has run a command of its own, as exec 3>>log, and waits.
func Shell(t testing.TB, command string) (pid int) {
	t.Helper()
	return Start(t, exec.Command("/bin/sh", "-c", command+" && echo "+ready+" && read end"))
}

// Start starts a program that says that it is ready, and waits for that. It is killed when the test ends.
func Start(t testing.TB, c *exec.Cmd) (pid int) {
	t.Helper()
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != ready+"\n" {
		t.Fatalf("%v says %q: %v", c.Args, line, err)
	}
	return c.Process.Pid
}

// MountOf is the mount that a directory is on.
func MountOf(t testing.TB, dir string) mount.Entry {
	t.Helper()
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_MNT_ID, &stat)
	entries, listErr := mount.List()
	if err != nil || listErr != nil {
		t.Fatal(err, listErr)
	}
	for _, e := range entries {
		if uint64(e.ID) == stat.Mnt_id {
			return e
		}
	}
	t.Fatalf("mount %d is not listed", stat.Mnt_id)
	return mount.Entry{}
}

// End kills a program and waits until it is no more.
func End(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return err
	}
	var info unix.Siginfo
	return unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil) // the test reaps it
}

// HasEnded says whether a program has ended, by itself or by a signal.
func HasEnded(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}
