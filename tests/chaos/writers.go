// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
)

const writersPerVolume = 2

// writerProcess is a writer's process, seen from outside.
type writerProcess struct {
	id      int
	target  string
	process *exec.Cmd
	stdin   io.Closer
	exited  chan struct{}
	journal *journal
}

// startWriter runs a writer with what it needs below dir.
func startWriter(id int, target, dir string, pause time.Duration) (*writerProcess, error) {
	root, path := filepath.Join(dir, fmt.Sprintf("root-%03d", id)), filepath.Join(dir, fmt.Sprintf("journal-%03d", id))
	if err := os.Mkdir(root, 0o755); err != nil {
		return nil, err
	}
	told, err := json.Marshal(job{ID: id, Root: root, Target: target, Pause: pause})
	if err != nil {
		return nil, err
	}
	written, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer written.Close()
	read, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	c := &writerProcess{id: id, target: target, journal: &journal{file: read}, exited: make(chan struct{})}
	c.process = exec.Command("/proc/self/exe")
	// The race detector would wait for a second before the process ends.
	c.process.Env = append(os.Environ(), writerVariable+"="+string(told), "GORACE=atexit_sleep_ms=0", "GOMAXPROCS=1")
	c.process.Stderr = os.Stderr
	c.process.ExtraFiles = []*os.File{written}
	c.process.SysProcAttr = container.Attributes()
	if c.stdin, err = c.process.StdinPipe(); err == nil {
		err = c.process.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start writer %d: %w", id, err), read.Close())
	}
	go func() {
		_ = c.process.Wait() // its state says how it ended
		close(c.exited)
	}()
	return c, nil
}

func (c *writerProcess) alive() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// end tells the writer to end, and returns an error if it does not do so or had ended before.
func (c *writerProcess) end() error {
	before := c.alive()
	if err := c.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	timer := time.NewTimer(endTimeout)
	defer timer.Stop()
	select {
	case <-c.exited:
	case <-timer.C:
		_ = c.process.Process.Kill()
		return fmt.Errorf("writer %d has not ended %v after it was told to", c.id, endTimeout)
	}
	err := errors.Join(c.journal.refresh(), c.journal.file.Close())
	if !before || !c.process.ProcessState.Success() {
		err = errors.Join(err, fmt.Errorf("writer %d ended with %s", c.id, c.process.ProcessState))
	}
	return err
}

// mounts are those of volumes that the writer has, as its own namespace shows them.
func (c *writerProcess) mounts() ([]mount.Entry, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", c.process.Process.Pid))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	all, err := mount.Parse(file)
	return ofClients(all), err
}
