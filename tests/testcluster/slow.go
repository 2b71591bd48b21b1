// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SlowCall has a brick stand still for a time after each system call of one kind, until the test ends: in a window of
// GlusterFS's own that is open for microseconds, another client's request comes in then. The brick's other calls take
// several times as long as they do. It uses strace.
func (c *Cluster) SlowCall(t testing.TB, volume string, i int, call string, after time.Duration) {
	t.Helper()
	c.inject(t, volume, i, "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:delay_exit=%d", call, after.Microseconds()))
}

// FailCall has a brick fail in each system call of one kind on a path of its own, with an error as ENOSPC, until the
// test ends. It uses strace.
func (c *Cluster) FailCall(t testing.TB, volume string, i int, call, path, with string) {
	t.Helper()
	c.inject(t, volume, i, "-P", filepath.Join(c.brick(volume, i).path, path),
		"-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:error=%s", call, with))
}

func (c *Cluster) inject(t testing.TB, volume string, i int, what ...string) {
	t.Helper()
	bricks, err := c.brick(volume, i).processes()
	if err != nil || len(bricks) != 1 {
		t.Fatalf("brick %d of %s has the processes %v, %v", i, volume, bricks, err)
	}
	attach := []string{"-f", "-p", strconv.Itoa(bricks[0].pid), "-e", "signal=none", "-o", "/dev/null"}
	cmd := exec.Command("strace", append(attach, what...)...)
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // which has it let go of the brick
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.Contains(lines.Text(), "attached") {
	}
	if lines.Err() != nil || !strings.Contains(lines.Text(), "attached") {
		t.Fatalf("strace says %q, %v", lines.Text(), lines.Err())
	}
}
