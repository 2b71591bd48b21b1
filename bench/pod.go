// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
)

// podVariable makes this binary a pod that watches its binds.
const podVariable = "BENCH_POD"

// watchPause is how soon at the latest a pod sees that a bind is dead. That is well before there is a new client.
const watchPause = 5 * time.Millisecond

// pod is a process in a mount namespace of its own that sees publish targets, as a container
// does, and says when each of them is back after its client's death.
type pod struct {
	process *exec.Cmd
	stdin   io.WriteCloser
	answers *json.Decoder
}

// podSpec is what the process is told.
type podSpec struct {
	Root    string   `json:"root"`
	Targets []string `json:"targets"`
	Copies  int      `json:"copies"` // further binds of the first target, which it does not watch
	Others  int      `json:"others"` // mounts of something else
}

func startPod(of podSpec) (*pod, error) {
	if err := os.MkdirAll(of.Root, 0o755); err != nil {
		return nil, err
	}
	spec, err := json.Marshal(of)
	if err != nil {
		return nil, err
	}
	p := &pod{process: exec.Command("/proc/self/exe")}
	p.process.Env = append(os.Environ(), podVariable+"="+string(spec), "GOMAXPROCS=1")
	p.process.Stderr = os.Stderr
	p.process.SysProcAttr = container.Attributes()
	stdin, errIn := p.process.StdinPipe()
	stdout, errOut := p.process.StdoutPipe()
	if err := errors.Join(errIn, errOut, p.process.Start()); err != nil {
		return nil, fmt.Errorf("start a pod: %w", err)
	}
	p.stdin, p.answers = stdin, json.NewDecoder(stdout)
	return p, nil
}

// watch returns when the pod looks at its binds, all of which answer.
func (p *pod) watch() error {
	if _, err := fmt.Fprintln(p.stdin, "watch"); err != nil {
		return err
	}
	var watching bool
	return p.answers.Decode(&watching)
}

// back returns when each of the binds answered again, after it had not.
func (p *pod) back(ctx context.Context) (times []int64, err error) {
	stop := context.AfterFunc(ctx, func() { _ = p.process.Process.Kill() })
	defer stop()
	err = p.answers.Decode(&times)
	return times, errors.Join(err, ctx.Err())
}

// end ends the process.
func (p *pod) end() error { return errors.Join(p.stdin.Close(), p.process.Wait()) }

// bePod is the process's program: one line of the input for each time that it is to watch.
func bePod(text string) error {
	var spec podSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	var volumes []container.Volume
	var binds []string
	for i, target := range spec.Targets {
		binds = append(binds, fmt.Sprintf("/volume-%d", i))
		volumes = append(volumes, container.Volume{Source: target, Target: binds[i]})
	}
	// A container has no such file, but this is of its own mounts. Go's poller, which would take its events, does not know it.
	mounts, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(mounts)
	if err := container.Enter(spec.Root, volumes...); err != nil {
		return err
	}
	if err := spec.mountMore(); err != nil {
		return err
	}
	answers := json.NewEncoder(os.Stdout)
	for input := make([]byte, len("watch\n")); ; {
		if _, err := io.ReadFull(os.Stdin, input); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for _, bind := range binds {
			if err := ask(bind); err != nil {
				return fmt.Errorf("ask %s: %w", bind, err)
			}
		}
		if err := answers.Encode(true); err != nil {
			return err
		}
		times, err := awaitBack(binds, mounts)
		if err != nil {
			return err
		}
		if err := answers.Encode(times); err != nil {
			return err
		}
	}
}

// mountMore makes the mounts that the pod does not watch. It is in its root already.
func (spec podSpec) mountMore() error {
	if err := os.Mkdir("/other", 0o755); err != nil {
		return err
	}
	for i := range spec.Copies + spec.Others {
		source, target := "/volume-0", fmt.Sprintf("/more-%d", i)
		if i >= spec.Copies {
			source = "/other"
		}
		if err := errors.Join(os.Mkdir(target, 0o755), unix.Mount(source, target, "", unix.MS_BIND, "")); err != nil {
			return err
		}
	}
	return nil
}

// awaitBack asks all binds until each has been dead and answers again, and returns when. It asks when something is mounted or
// unmounted (proc_pid_mountinfo(5)), and now and then: twenty pods that asked all the time would be what is measured.
func awaitBack(binds []string, mounts int) ([]int64, error) {
	times, dead := make([]int64, len(binds)), make([]bool, len(binds))
	for left := len(binds); left > 0; {
		changed := []unix.PollFd{{Fd: int32(mounts), Events: unix.POLLPRI}}
		if _, err := unix.Poll(changed, int(watchPause.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
			return nil, err
		}
		for i, bind := range binds {
			if times[i] != 0 {
				continue
			}
			switch err := ask(bind); {
			case err != nil:
				dead[i] = true
			case dead[i]:
				times[i] = monotonic()
				left--
			}
		}
	}
	return times, nil
}

// ask asks whoever serves the directory for its attributes, which the kernel would else tell
// from its memory.
func ask(path string) error {
	var stat unix.Statx_t
	return unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &stat)
}

// monotonic is a time in nanoseconds that all processes agree on.
func monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // the kernel has it
	return t.Nano()
}

// until calls f every millisecond until it returns nil or ctx is done.
func until(ctx context.Context, f func() error) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// processOf finds the process whose last argument is this.
func processOf(argument string) (int, error) {
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, path := range commands {
		command, _ := os.ReadFile(path) // it may have ended
		if strings.HasSuffix(string(command), "\x00"+argument+"\x00") {
			var pid int
			_, err := fmt.Sscanf(path, "/proc/%d/", &pid)
			return pid, err
		}
	}
	return 0, fmt.Errorf("no process has the argument %s", argument)
}
