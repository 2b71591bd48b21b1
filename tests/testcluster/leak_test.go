// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package testcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/thread"
)

// childVariable makes this test binary a child that misbehaves, for the tests below.
const childVariable = "TESTCLUSTER_CHILD"

func TestMain(m *testing.M) {
	if run, ok := children[os.Getenv(childVariable)]; ok {
		os.Exit(check(run))
	}
	Main(m)
}

type child func() int

func (c child) Run() int { return c() }

var children = map[string]child{
	"leaves a process": func() int { return orphan(os.Environ()) },
	// Found by its mark only in its arguments, as a client started with a clean environment.
	"leaves a client": func() int {
		c, err := Start(context.Background(), Options{Replica: 1})
		if err != nil {
			return fail(err)
		}
		path, err := program("glusterfs")
		if err != nil {
			return fail(err)
		}
		target := filepath.Join(thisRun.dir, "mnt")
		if err := os.Mkdir(target, 0o700); err != nil {
			return fail(err)
		}
		cmd := exec.Command(path, "--volfile-server="+c.Servers()[0], "--volfile-id=/gv0", "--log-file=/dev/null", target)
		cmd.Env = []string{}
		if err := cmd.Run(); err != nil { // the process that stays is its grandchild
			return fail(err)
		}
		return 0
	},
	"leaves a mount": func() int {
		target := filepath.Join(os.TempDir(), "mnt")
		if err := os.Mkdir(target, 0o700); err != nil {
			return fail(err)
		}
		return fail(unix.Mount("tmpfs", target, "tmpfs", 0, ""))
	},
	"leaves a file": func() int { return fail(os.WriteFile(filepath.Join(os.TempDir(), "forgotten"), nil, 0o600)) },
	"leaves a loop device": func() int {
		image := filepath.Join(thisRun.dir, "image")
		if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 1<<20)); err != nil {
			return fail(err)
		}
		device, err := attachLoop(context.Background(), image, thisRun.dir)
		if err != nil {
			return fail(err)
		}
		return fail(unix.IoctlLoopSetStatus64(int(device.Fd()), &unix.LoopInfo64{})) // it stays
	},
	"leaves nothing":  func() int { return 0 },
	"has a container": hasAContainer,
	"is interrupted": func() int {
		orphan(os.Environ())
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		select {}
	},
	"is interrupted with a cluster": func() int {
		if _, err := Start(context.Background(), Options{Replica: 1, FileSystem: Ext4}); err != nil {
			return fail(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		select {}
	},
	"is killed": func() int {
		if _, err := Start(context.Background(), Options{Replica: 1, FileSystem: XFS}); err != nil {
			return fail(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	},
}

func fail(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 3
}

// orphan starts a process whose parent ends at once.
func orphan(environ []string) int {
	cmd := exec.Command("setsid", "--fork", "sleep", "60")
	cmd.Env = environ
	return fail(cmd.Run())
}

func TestMainFindsAndRemovesWhatIsLeft(t *testing.T) {
	tests := []struct {
		child string
		code  int
		says  []string
	}{
		{"leaves nothing", 0, nil},
		{"leaves a process", 1, []string{"left behind", "sleep 60"}},
		{"leaves a client", 1, []string{"left behind", "glusterfs --volfile-server=", "glusterd", "fuse.glusterfs"}},
		{"leaves a mount", 1, []string{"left behind", "tmpfs", "/mnt"}},
		{"leaves a file", 1, []string{"left behind", "forgotten"}},
		{"leaves a loop device", 1, []string{"left behind", "loop device", "/image"}},
		{"is interrupted", 128 + int(syscall.SIGTERM), nil},
		{"is interrupted with a cluster", 128 + int(syscall.SIGTERM), nil},
	}
	for _, test := range tests {
		t.Run("when a run "+test.child, func(t *testing.T) {
			before := Snapshot()
			code, output := runChild(t, test.child)
			if code != test.code {
				t.Errorf("exit code %d, want %d:\n%s", code, test.code, output)
			}
			for _, text := range test.says {
				if !strings.Contains(output, text) {
					t.Errorf("no %q in:\n%s", text, output)
				}
			}
			nothingNew(t, before)
		})
	}
}

func TestTheNextRunRemovesWhatAKilledOneLeft(t *testing.T) {
	before := Snapshot()
	if code, output := runChild(t, "is killed"); code != -1 {
		t.Fatalf("exit code %d:\n%s", code, output)
	}
	if leaks := before.Leaks(); !slices.ContainsFunc(leaks, func(leak string) bool { return strings.Contains(leak, "glusterfsd") }) {
		t.Fatalf("no brick is left, so this test shows nothing: %v", leaks)
	}
	if err := sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	nothingNew(t, before)
}

func TestSnapshotIgnoresOtherRuns(t *testing.T) {
	before := Snapshot()
	if code := orphan([]string{runVariable + "=another", "PATH=" + os.Getenv("PATH")}); code != 0 {
		t.Fatal(code)
	}
	theirs, err := filterProcesses(func(p process) bool { return marked(p, "another") })
	if err != nil || len(theirs) != 1 {
		t.Fatalf("%v, %v, want one process", theirs, err)
	}
	if leaks := before.Leaks(); len(leaks) > 0 {
		t.Errorf("leaks %v", leaks)
	}
	if err := theirs[0].signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

func runChild(t *testing.T, name string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // judged by the exit code
	return cmd.ProcessState.ExitCode(), out.String()
}

// nothingNew waits for killed processes to be gone.
func nothingNew(t *testing.T, before Snap) {
	t.Helper()
	Eventually(t, exitTimeout, func() error {
		if leaks := before.Leaks(); len(leaks) > 0 {
			return fmt.Errorf("left: %v", leaks)
		}
		return nil
	})
}

// TestALoopDeviceWithoutANode is what a container has whose /dev is not the kernel's own.
func TestALoopDeviceWithoutANode(t *testing.T) {
	dir := t.TempDir()
	image := filepath.Join(dir, "image")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 1<<20)); err != nil {
		t.Fatal(err)
	}
	err := thread.Discard(func() error {
		if err := privateNamespace(); err != nil {
			return err
		}
		empty := filepath.Join(dir, "dev")
		if err := errors.Join(os.Mkdir(empty, 0o755), unix.Mount(empty, "/dev", "", unix.MS_BIND, "")); err != nil {
			return err
		}
		if err := unix.Mknod("/dev/loop-control", unix.S_IFCHR|0o600, int(unix.Mkdev(10, 237))); err != nil {
			return err
		}
		device, err := attachLoop(t.Context(), image, dir)
		if err != nil {
			return err
		}
		defer func() { _ = device.Close() }()
		if !isBelow(device.Name(), dir) {
			t.Errorf("device %s", device.Name())
		}
		size, err := device.Seek(0, io.SeekEnd)
		if size != 1<<20 {
			t.Errorf("%d bytes", size)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, exitTimeout, func() error {
		if loops, err := loopsBelow(dir); err != nil || len(loops) > 0 {
			return errors.Join(fmt.Errorf("left: %v", loops), err)
		}
		return nil
	})
}
