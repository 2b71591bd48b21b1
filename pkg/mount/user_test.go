// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// For attack_test.go, which is for amd64.

package mount

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// user is a shell of user 1001 in user and mount namespaces of his own, made without any privilege from those of the
// thread that starts it.
type user struct {
	pid    int
	stdin  io.Writer
	stdout *bufio.Reader
}

// startUser returns when the shell answers. It ends with the test.
func startUser(t *testing.T) *user {
	t.Helper()
	// unshare becomes the shell, so the process ID stays.
	process := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh")
	process.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1001, Gid: 1001}}
	stdin, err := process.StdinPipe()
	must(t, "pipe", err)
	stdout, err := process.StdoutPipe()
	must(t, "pipe", err)
	must(t, "start a shell in a user namespace", process.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = process.Wait()
	})
	u := &user{process.Process.Pid, stdin, bufio.NewReader(stdout)}
	if output, code := u.run(t, "id -u"); output != "0\n" || code != 0 {
		t.Fatalf("the shell says %q, %d", output, code)
	}
	return u
}

// run has the shell run a command.
func (u *user) run(t *testing.T, command string) (output string, code int) {
	t.Helper()
	const end = "ended with "
	fmt.Fprintf(u.stdin, "%s\necho %s$?\n", command, end)
	for {
		line, err := u.stdout.ReadString('\n')
		must(t, "read what the shell says", err)
		if rest, found := strings.CutPrefix(line, end); found {
			_, err := fmt.Sscan(rest, &code)
			must(t, "read an exit code", err)
			return output, code
		}
		output += line
	}
}
