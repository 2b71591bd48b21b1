// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mount

import (
	"errors"
	"syscall"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) {
	container.Main(nil)
	testcluster.Main(m)
}

// Container is one whose answers are text: what it was asked for, or the kernel's error.
type Container struct {
	Root   string // as in container.Container, all four
	Binds  []string
	Copies int
	Chroot bool

	started *container.Container
}

// Start returns when the process runs. It ends with the test.
func (c *Container) Start(t testing.TB) *Container {
	t.Helper()
	c.started = (&container.Container{Root: c.Root, Binds: c.Binds, Copies: c.Copies, Chroot: c.Chroot}).Start(t)
	return c
}

// PID is the process's.
func (c *Container) PID() int { return c.started.PID() }

// Stop ends the process. Stopping again does nothing.
func (c *Container) Stop() { c.started.Stop() }

// Read returns what the process reads from a file, or its error.
func (c *Container) Read(path string) string { return text(c.started.Do("read", path)) }

// Write returns the error of the process writing to a file, or "".
func (c *Container) Write(path string) string { return text(c.started.Do("write", path)) }

func text(data []byte, err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return string(data)
}
