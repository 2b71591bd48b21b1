// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package gluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// containerVariable makes the test binary a process that reads and writes files as it is told.
const containerVariable = "GLUSTER_TEST_CONTAINER"

func init() {
	if os.Getenv(containerVariable) == "" {
		return
	}
	commands := bufio.NewScanner(os.Stdin)
	var load *writer
	for commands.Scan() {
		verb, path, _ := strings.Cut(commands.Text(), " ")
		var data []byte
		var err error
		switch verb {
		case "read":
			data, err = os.ReadFile(path)
		case "write":
			err = os.WriteFile(path, []byte("x"), 0o600)
		case "load":
			load = startWriter(path)
		case "progress":
			data = load.progress()
		case "stop":
			data = load.stop()
		}
		fmt.Printf("%q %v\n", data, err)
	}
	os.Exit(0)
}

// container is a process in a mount namespace of its own with private propagation: nothing that is mounted on the host later
// reaches it.
type container struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
	end func() // ends the process and with it its mounts; the end of the test does too
}

func newContainer(t *testing.T) *container {
	t.Helper()
	process := exec.Command("/proc/self/exe")
	process.Env = append(os.Environ(), containerVariable+"=1")
	process.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	process.Stderr = os.Stderr
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		_ = in.Close()
		if err := process.Wait(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return &container{t: t, in: in, out: bufio.NewScanner(out), end: end}
}

// does returns what the process says of one read or write.
func (c *container) does(verb, path string) string {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, verb, path); err != nil {
		c.t.Fatal(err)
	}
	var text string
	if err := testcluster.Within(patience, func() error {
		if !c.out.Scan() {
			return errors.New("the process ended")
		}
		text = c.out.Text()
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
	return text
}
