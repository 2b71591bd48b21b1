// SPDX-License-Identifier: Apache-2.0

// Package oldkernel runs tests as if on an older Linux, so that what the code
// does there is tried for real and needs no switch in the code itself.
//
// A seccomp filter makes every system call that the old kernel lacks answer
// ENOSYS, and move_mount(2) with MOVE_MOUNT_BENEATH answer EINVAL, as before 6.5.
// Nothing else is imitated: not uname(2), nor new flags of old system calls, nor
// bugs. Processes started by the test inherit the filter.
package oldkernel

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Kernel is a version of Linux: the number of the first system call that it
// lacks. New system calls have had the same, growing numbers on every
// architecture since 5.1, so that one number tells them all.
type Kernel uint32

// The kernels worth a test: the last before something that the driver uses.
const (
	Linux5_1  Kernel = 428 // no open_tree and move_mount (5.2)
	Linux5_4  Kernel = 436 // no openat2 (5.6), faccessat2 (5.8); the oldest supported
	Linux5_11 Kernel = 442 // no mount_setattr (5.12)
	Linux6_4  Kernel = 451 // no MOVE_MOUNT_BENEATH (6.5), fchmodat2 (6.6), statmount (6.8), setxattrat (6.13)
)

// String returns e.g. "Linux 5.4".
func (k Kernel) String() string {
	switch k {
	case Linux5_1:
		return "Linux 5.1"
	case Linux5_4:
		return "Linux 5.4"
	case Linux5_11:
		return "Linux 5.11"
	case Linux6_4:
		return "Linux 6.4"
	}
	return fmt.Sprintf("a Linux without system call %d", uint32(k))
}

// kernelVariable tells the child process which kernel it is to run on.
const kernelVariable = "OLDKERNEL_FIRST_MISSING_SYSCALL"

// On runs f as if on kernel k, in a process of its own, and fails t if it fails
// there. f may be a whole test:
//
//	func TestBindOnLinux5_4(t *testing.T) { oldkernel.On(t, oldkernel.Linux5_4, TestBind) }
//
// The process is a second run of this test binary with just t in it. So it runs
// TestMain and what t does before On as well, still on the real kernel; whatever
// has to see the old one, servers too, is started in f. It needs CAP_SYS_ADMIN.
// One test may call On once (in each of its subtests).
func On(t *testing.T, k Kernel, f func(t *testing.T)) {
	t.Helper()
	if os.Getenv(kernelVariable) == "" {
		if output, err := rerun(t, k); err != nil {
			t.Fatalf("as on %s: %v\n%s", k, err, output)
		}
		return
	}
	if got := os.Getenv(kernelVariable); got != strconv.Itoa(int(k)) {
		t.Fatalf("started to run as on kernel %s, but the test asks for %d", got, k)
	}
	if err := restrict(k); err != nil {
		t.Fatalf("become %s: %v", k, err)
	}
	f(t)
}

// rerun runs t alone in a child process and returns what it printed. It is an
// error if t did not run there.
func rerun(t *testing.T, k Kernel) (output []byte, err error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-test.v", "-test.run=" + pattern(t.Name())}
	if deadline, ok := t.Deadline(); ok {
		// Short of our own, so that the child's dump of its goroutines is shown.
		args = append(args, "-test.timeout="+(time.Until(deadline)*9/10).String())
	}
	child := exec.CommandContext(t.Context(), executable, args...)
	child.Env = append(os.Environ(), kernelVariable+"="+strconv.Itoa(int(k)))
	output, err = child.CombinedOutput()
	if err == nil && !strings.Contains(string(output), "--- PASS: "+t.Name()+" ") {
		err = fmt.Errorf("the child process did not run %s", t.Name())
	}
	return output, err
}

// pattern matches the test with this name and no other.
func pattern(name string) string {
	levels := strings.Split(name, "/")
	for i, level := range levels {
		levels[i] = "^" + regexp.QuoteMeta(level) + "$"
	}
	return strings.Join(levels, "/")
}
