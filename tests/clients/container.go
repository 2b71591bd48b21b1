// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// containerVariable makes the test binary a process that reads and writes files as it is told.
const containerVariable = "CLIENTS_TEST_CONTAINER"

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

// Container is a process in a mount namespace of its own with private propagation: nothing that is mounted on the
// host later reaches it.
type Container struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
	End func() // ends the process and with it its mounts; the end of the test does too
}

// NewContainer starts one.
func NewContainer(t *testing.T) *Container {
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
	return &Container{t: t, in: in, out: bufio.NewScanner(out), End: end}
}

// Does has the process do one thing and returns what it says of it: "read" or "write" a file; or "load" a file, which
// it writes until it is to "stop", and tells its "progress" on the way: how many records are acknowledged, and how
// many errors there were.
func (c *Container) Does(verb, path string) string {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, verb, path); err != nil {
		c.t.Fatal(err)
	}
	var text string
	if err := testcluster.Within(Patience, func() error {
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

// writer appends numbered lines to a file, each synced before the next, and opens it again after an error: an
// application.
type writer struct {
	acknowledged, errors atomic.Int64
	stopping, stopped    chan struct{}
}

func startWriter(path string) *writer {
	w := &writer{stopping: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(w.stopped)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			if err := w.write(path, ticker.C); err == nil {
				return
			}
			w.errors.Add(1)
			<-ticker.C
		}
	}()
	return w
}

// write returns nil when it was told to stop.
func (w *writer) write(path string, pace <-chan time.Time) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		select {
		case <-w.stopping:
			return nil
		case <-pace:
		}
		// On a line of its own, whatever became of the one before.
		_, err := fmt.Fprintf(f, "\n%d\n", w.acknowledged.Load())
		if err := errors.Join(err, f.Sync()); err != nil {
			return err
		}
		w.acknowledged.Add(1)
	}
}

func (w *writer) progress() []byte {
	failed := w.errors.Load() // first, so that what is acknowledged is not older
	return fmt.Appendf(nil, "%d %d", w.acknowledged.Load(), failed)
}

func (w *writer) stop() []byte {
	close(w.stopping)
	<-w.stopped
	return w.progress()
}
