// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mount

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// containerVariable makes the test binary the process of a container; see Container.
const containerVariable = "MOUNT_TEST_CONTAINER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(containerVariable); spec != "" {
		if err := beContainer(spec); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testcluster.Main(m)
}

// Container is a process with a mount namespace of its own, made from that of the
// thread that starts it and private to it, as a container runtime does it.
type Container struct {
	Root  string   // its root directory, an empty one
	Binds []string // SOURCE TARGET or SOURCE TARGET ro, mounted in this order; targets are below Root
	// Chroot leaves the old root in the namespace, and the process with a view of a part of it.
	Chroot bool

	process *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
}

// Start returns when the process runs. It ends with the test.
func (c *Container) Start(t testing.TB) *Container {
	t.Helper()
	spec, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	c.process = exec.Command("/proc/self/exe")
	// The race detector would wait for a second before the process ends.
	c.process.Env = append(os.Environ(), containerVariable+"="+string(spec), "GORACE=atexit_sleep_ms=0")
	c.process.Stderr = os.Stderr
	c.process.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	stdout, errOut := c.process.StdoutPipe()
	stdin, errIn := c.process.StdinPipe()
	if err := errors.Join(errOut, errIn, c.process.Start()); err != nil {
		t.Fatalf("start a container: %v", err)
	}
	c.stdin, c.stdout = stdin, bufio.NewReader(stdout)
	t.Cleanup(c.Stop)
	if answer := c.answer(); answer != "ready" {
		t.Fatalf("start a container: %s", answer)
	}
	return c
}

// Stop ends the process. Stopping again does nothing.
func (c *Container) Stop() {
	_ = c.stdin.Close()
	_ = c.process.Wait()
}

// Read returns what the process reads from a file, or its error as text.
func (c *Container) Read(path string) string {
	fmt.Fprintln(c.stdin, "read", path)
	return c.answer()
}

// Write returns the error of the process writing to a file as text, or "".
func (c *Container) Write(path string) string {
	fmt.Fprintln(c.stdin, "write", path)
	return c.answer()
}

func (c *Container) answer() string {
	line, err := c.stdout.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(line, "\n")
}

func beContainer(spec string) error {
	var c Container
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return err
	}
	if err := c.enter(); err != nil {
		return err
	}
	fmt.Println("ready")
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		verb, path, _ := strings.Cut(input.Text(), " ")
		if verb == "write" {
			fmt.Println(text(os.WriteFile(path, nil, 0o600)))
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			content = []byte(text(err))
		}
		fmt.Println(string(content))
	}
	return nil
}

func text(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return ""
}

// enter builds the root and moves the process there.
func (c *Container) enter() error {
	if err := unix.Mount("container", c.Root, "tmpfs", 0, "size=1m"); err != nil {
		return err
	}
	for _, words := range c.Binds {
		if err := c.bind(strings.Fields(words)); err != nil {
			return fmt.Errorf("bind %s: %w", words, err)
		}
	}
	if err := os.Chdir(c.Root); err != nil {
		return err
	}
	if c.Chroot {
		return unix.Chroot(".")
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	return unix.Unmount(".", unix.MNT_DETACH)
}

func (c *Container) bind(words []string) error {
	source, target, readOnly := words[0], filepath.Join(c.Root, words[1]), len(words) > 2
	stat, err := os.Stat(source)
	if err != nil {
		return err
	}
	// What is mounted already, e.g. a volume that this is to be below, may have it.
	if _, err = os.Lstat(target); errors.Is(err, os.ErrNotExist) {
		if stat.IsDir() {
			err = os.MkdirAll(target, 0o755)
		} else if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
			err = os.WriteFile(target, nil, 0o600)
		}
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil || !readOnly {
		return err
	}
	return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID, "")
}
