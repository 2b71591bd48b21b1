// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// lingerTimeout is how long a client whose mount was detached may take to end by itself.
const lingerTimeout = 3 * time.Second

// RawMount is a FUSE mount by a glusterfs process that the driver knows nothing of.
type RawMount struct {
	Path string // where the root of the volume is

	process process
	exited  chan struct{}
	log     string
}

// Mount mounts a volume by running the glusterfs binary, with further arguments for it if given (e.g. "--acl"). When it
// returns, the mount answers. Close it, or leave that to the cluster's Close.
func (c *Cluster) Mount(ctx context.Context, volume string, arguments ...string) (*RawMount, error) {
	ctx, cancel := context.WithTimeout(ctx, faultTimeout)
	defer cancel()
	path, err := program("glusterfs")
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.mounts++
	dir := filepath.Join(c.dir, fmt.Sprintf("m%d", c.mounts))
	c.mu.Unlock()
	m := &RawMount{Path: filepath.Join(dir, "mnt"), exited: make(chan struct{}), log: filepath.Join(dir, "client.log")}
	if err := os.MkdirAll(m.Path, 0o755); err != nil {
		return nil, err
	}
	args := []string{"--no-daemon", "--process-name", "fuse", "--volfile-id=/" + volume, "--log-file=" + m.log}
	for _, address := range c.Servers() {
		args = append(args, "--volfile-server="+address)
	}
	cmd := exec.Command(path, append(append(args, arguments...), m.Path)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // its log says why it ended
		close(m.exited)
	}()
	m.process, err = readProcess(cmd.Process.Pid)
	if err == nil {
		err = m.awaitReady(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mount %s: %w: %s", volume, err, errorLines(m.log)), m.Kill(), m.Close())
	}
	return m, nil
}

// MountSide mounts a volume of replica 2 as from one side of a cable that is cut between its servers: the client has brick i,
// and never another. What is done through it the other brick lacks.
func (c *Cluster) MountSide(ctx context.Context, volume string, i int, arguments ...string) (*RawMount, error) {
	nobody := fmt.Sprintf("--xlator-option=%s-client-%d.remote-host=%s", volume, 1-i, c.Neighbour(230))
	m, err := c.Mount(ctx, volume, append(arguments, nobody)...)
	if err != nil {
		return nil, err
	}
	err = Connected(m.Path, volume, i)
	if Connected(m.Path, volume, 1-i) == nil {
		err = errors.Join(err, errors.New("the client has the other brick, too"))
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *RawMount) awaitReady(ctx context.Context) error {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	err := Poll(ctx, func() error {
		select {
		case <-m.exited:
			giveUp()
			return errors.New("the client exited")
		default:
		}
		found, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(m.Path))
		if err == nil && len(found) == 0 {
			err = errors.New("not mounted yet")
		}
		return err
	})
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	return Within(time.Until(deadline), func() error {
		var stat unix.Statfs_t
		return unix.Statfs(m.Path, &stat)
	})
}

// Connected returns nil if the client that is mounted at root is connected to brick i of its volume. A client notices a dead
// brick at once, and a new one after up to 3 s. For Eventually; it blocks if the client's servers are stopped.
func Connected(root, volume string, i int) error {
	path := filepath.Join(root, ".meta/graphs/active", fmt.Sprintf("%s-client-%d", volume, i), "private")
	data, err := os.ReadFile(path)
	if err == nil && !strings.Contains(string(data), "\nconnected = 1\n") {
		err = fmt.Errorf("brick %d of %s is not connected", i, volume)
	}
	return err
}

// PID is the process ID of the client.
func (m *RawMount) PID() int { return m.process.pid }

// Stop freezes the client by SIGSTOP: whatever touches the mount waits.
func (m *RawMount) Stop() error { return m.process.signal(syscall.SIGSTOP) }

// Continue undoes Stop.
func (m *RawMount) Continue() error { return m.process.signal(syscall.SIGCONT) }

// Kill ends the client by SIGKILL, but leaves the mount, which says ENOTCONN then.
func (m *RawMount) Kill() error {
	err := m.process.signal(syscall.SIGKILL)
	if err == nil {
		<-m.exited
	}
	return err
}

// Close unmounts, waits for the client to end and kills it if it does not, as when it is stopped or somebody still uses the
// mount. Closing again, or after the cluster, does nothing more.
func (m *RawMount) Close() error {
	err := detachBelow(m.Path)
	if err != nil {
		return err
	}
	timer := time.NewTimer(lingerTimeout)
	defer timer.Stop()
	select {
	case <-m.exited:
	case <-timer.C:
		err = m.Kill()
	}
	// Not its parent: the log may still tell why a test failed.
	if removed := os.Remove(m.Path); !errors.Is(removed, os.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}

// Log is what the client has logged so far.
func (m *RawMount) Log() string {
	data, err := os.ReadFile(m.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(data))
}
