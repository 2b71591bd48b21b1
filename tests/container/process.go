// SPDX-License-Identifier: Apache-2.0

package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// variable makes a test binary the process of a container; see Main.
const variable = "TEST_CONTAINER"

// answerTimeout bounds one answer. They take milliseconds, or seconds on a busy machine.
const answerTimeout = 30 * time.Second

// Container is a process with a mount namespace of its own, made from that of the thread that starts it and private
// to it.
type Container struct {
	Root   string   // its root directory, an empty one; "" leaves it in the host's, with all that is mounted at the start
	Binds  []string // SOURCE TARGET or SOURCE TARGET ro, mounted in this order; targets are below Root
	Copies int      // how often the last bind is made again, at TARGET-0 and so on
	Chroot bool     // see EnterByChroot

	t       testing.TB
	process *exec.Cmd
	tell    *json.Encoder
	answers *json.Decoder
	stop    func()
}

// Verb is what a container's process can be told to do.
type Verb func(args ...string) ([]byte, error)

// answer is what the process says.
type answer struct {
	Data  []byte
	Error string
	Errno syscall.Errno // that is in the error, or 0
}

// Error is an error in a container. It has the text, and wraps the error number.
type Error struct {
	Errno syscall.Errno
	Text  string
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Errno }

// Main is the first call of a TestMain whose tests call Start. In the test itself it does nothing. In a container's
// process it does what it is told by Do until Stop, and does not return. The verbs are "read" PATH, "write" PATH (it
// makes the file empty), "append" PATH LINE, which reads the whole file then, and what is given.
func Main(more map[string]Verb) {
	spec := os.Getenv(variable)
	if spec == "" {
		return
	}
	verbs := map[string]Verb{
		"read":   func(args ...string) ([]byte, error) { return os.ReadFile(args[0]) },
		"write":  func(args ...string) ([]byte, error) { return nil, os.WriteFile(args[0], nil, 0o600) },
		"append": func(args ...string) ([]byte, error) { return appendLine(args[0], args[1]) },
	}
	maps.Copy(verbs, more)
	if err := serve(spec, verbs); err != nil {
		fmt.Fprintln(os.Stderr, "container:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func appendLine(path, line string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(f, line)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func serve(spec string, verbs map[string]Verb) error {
	var c Container
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return err
	}
	verbs["enter"] = func(...string) ([]byte, error) { return nil, c.enter() }
	answers := json.NewEncoder(os.Stdout)
	for told := json.NewDecoder(os.Stdin); ; {
		var words []string
		if err := told.Decode(&words); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var said answer
		var err error
		if said.Data, err = verbs[words[0]](words[1:]...); err != nil {
			said.Error = err.Error()
			errors.As(err, &said.Errno)
		}
		if err := answers.Encode(said); err != nil {
			return err
		}
	}
}

func (c *Container) enter() error {
	if c.Root == "" {
		return nil
	}
	var volumes []Volume
	for _, bind := range c.Binds {
		words := strings.Fields(bind)
		volumes = append(volumes, Volume{Source: words[0], Target: words[1], ReadOnly: len(words) > 2})
	}
	for i := range c.Copies {
		again := volumes[len(c.Binds)-1]
		again.Target = fmt.Sprintf("%s-%d", again.Target, i)
		volumes = append(volumes, again)
	}
	if c.Chroot {
		return EnterByChroot(c.Root, volumes...)
	}
	return Enter(c.Root, volumes...)
}

// Start returns when the process runs. It ends with the test.
func (c *Container) Start(t testing.TB) *Container {
	t.Helper()
	spec, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	c.t, c.process = t, exec.Command("/proc/self/exe")
	// The race detector would wait for a second before the process ends.
	c.process.Env = append(os.Environ(), variable+"="+string(spec), "GORACE=atexit_sleep_ms=0")
	c.process.Stderr = os.Stderr
	c.process.SysProcAttr = Attributes()
	stdin, errIn := c.process.StdinPipe()
	stdout, errOut := c.process.StdoutPipe()
	if err := errors.Join(errIn, errOut, c.process.Start()); err != nil {
		t.Fatalf("start a container: %v", err)
	}
	c.tell, c.answers = json.NewEncoder(stdin), json.NewDecoder(stdout)
	c.stop = sync.OnceFunc(func() {
		_ = stdin.Close()
		if err := c.process.Wait(); err != nil {
			t.Errorf("a container: %v", err)
		}
	})
	t.Cleanup(c.stop)
	if _, err := c.Do("enter"); err != nil {
		t.Fatalf("start a container: %v", err)
	}
	return c
}

// PID is the process's.
func (c *Container) PID() int { return c.process.Process.Pid }

// Stop ends the process, and with it its mounts. Stopping again does nothing.
func (c *Container) Stop() { c.stop() }

// Do has the process do one thing and returns what it says of it. An error of the process is an *Error; if it does
// not answer, the test fails.
func (c *Container) Do(verb string, args ...string) ([]byte, error) {
	c.t.Helper()
	var said answer
	if err := testcluster.Within(answerTimeout, func() error {
		return errors.Join(c.tell.Encode(append([]string{verb}, args...)), c.answers.Decode(&said))
	}); err != nil {
		c.t.Fatalf("a container does not %s %q: %v", verb, args, err)
	}
	if said.Error != "" {
		return nil, &Error{said.Errno, said.Error}
	}
	return said.Data, nil
}
