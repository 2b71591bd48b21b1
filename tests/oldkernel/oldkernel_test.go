// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package oldkernel

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// calls are made with a descriptor that is not open, so a kernel that has them
// refuses them too, but not with ENOSYS.
var calls = map[string]func() error{
	"open_tree": func() error {
		_, err := unix.OpenTree(-1, "", unix.AT_EMPTY_PATH)
		return err
	},
	"move_mount":    func() error { return moveMount(0) },
	"openat2":       func() error { _, err := unix.Openat2(-1, "x", &unix.OpenHow{}); return err },
	"mount_setattr": func() error { return unix.MountSetattr(-1, "x", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}) },
	"fchmodat2": func() error {
		_, _, errno := unix.Syscall6(unix.SYS_FCHMODAT2, ^uintptr(0), uintptr(0), 0, unix.AT_EMPTY_PATH, 0, 0)
		return errno
	},
}

func moveMount(flags int) error {
	return unix.MoveMount(-1, "", -1, "", flags|unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

func TestKernelsLackWhatCameLater(t *testing.T) {
	for kernel, lacks := range map[Kernel][]string{
		Linux5_1:  {"open_tree", "move_mount", "openat2", "mount_setattr", "fchmodat2"},
		Linux5_4:  {"openat2", "mount_setattr", "fchmodat2"},
		Linux5_11: {"mount_setattr", "fchmodat2"},
		Linux6_4:  {"fchmodat2"},
	} {
		t.Run(kernel.String(), func(t *testing.T) {
			lacks := slices.Clone(lacks)
			for name, call := range calls { // this one may be old itself
				if errors.Is(call(), unix.ENOSYS) {
					lacks = append(lacks, name)
				}
			}
			On(t, kernel, func(t *testing.T) {
				for name, call := range calls {
					if err := call(); errors.Is(err, unix.ENOSYS) != slices.Contains(lacks, name) {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		})
	}
}

func TestMovingBeneathIsInvalidAsBefore6_5(t *testing.T) {
	On(t, Linux6_4, func(t *testing.T) {
		if err := moveMount(moveMountBeneath); !errors.Is(err, unix.EINVAL) {
			t.Errorf("beneath: %v, want EINVAL", err)
		}
		if err := moveMount(0); !errors.Is(err, unix.EBADF) {
			t.Errorf("on top: %v, want EBADF", err)
		}
	})
}

func TestEveryThreadAndChildIsRestricted(t *testing.T) {
	// "Seccomp: 2" of proc_pid_status(5): a filter is in force.
	const filtered = "\nSeccomp:\t2\n"
	On(t, Linux5_4, func(t *testing.T) {
		threads, err := filepath.Glob("/proc/self/task/*/status")
		if err != nil || len(threads) < 2 {
			t.Fatalf("found the threads %v, %v", threads, err)
		}
		for _, path := range threads {
			status, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
				continue // the thread has ended
			}
			if err != nil || !strings.Contains(string(status), filtered) {
				t.Errorf("%s: %v\n%s", path, err, status)
			}
		}
		status, err := exec.Command("cat", "/proc/self/status").Output()
		if err != nil || !strings.Contains(string(status), filtered) {
			t.Errorf("a child process: %v\n%s", err, status)
		}
		if !strings.Contains(string(status), "\nNoNewPrivs:\t0\n") {
			t.Errorf("set-user-ID programs have lost their rights:\n%s", status)
		}
	})
}

func TestTheRealKernelIsLeftAlone(t *testing.T) {
	On(t, Linux5_1, func(*testing.T) {})
	if os.Getenv(kernelVariable) == "" {
		if _, err := unix.OpenTree(-1, "", unix.AT_EMPTY_PATH); !errors.Is(err, unix.EBADF) {
			t.Errorf("open_tree after On: %v, want EBADF", err)
		}
	}
}

func TestWhatFailsInTheChildIsReported(t *testing.T) {
	const reason = "it fails on purpose"
	if os.Getenv(kernelVariable) != "" {
		t.Fatal(reason)
	}
	output, err := rerun(t, Linux5_4)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(output), reason) {
		t.Errorf("got %v\n%s", err, output)
	}
}

func TestAChildThatDoesNotRunTheTestIsReported(t *testing.T) {
	if os.Getenv(kernelVariable) != "" {
		os.Exit(0) // as a TestMain might that chooses to run nothing
	}
	if output, err := rerun(t, Linux5_4); err == nil {
		t.Errorf("no error\n%s", output)
	}
}

func TestNamesOfSubtestsMayHaveAnything(t *testing.T) {
	for _, name := range []string{"with (a|b) pattern.*", "with a / slash", "plain"} {
		t.Run(name, func(t *testing.T) {
			On(t, Linux5_4, func(*testing.T) {})
		})
	}
}
