// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/hack/vm/protocol"
)

// afterwards is how long what a job has left may hold its output.
const afterwards = 10 * time.Second

// reports is the serial port.
type reports struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func (r *reports) send(report protocol.Report) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.encoder.Encode(report)
}

// runPlan does what the plan says, one job after the other, and tells of it.
func runPlan() error {
	const port = "/dev/vport*p1"
	if err := await(port); err != nil {
		return err
	}
	found, err := filepath.Glob(port)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(found[0], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	r := &reports{encoder: json.NewEncoder(file)}
	if err := r.plan(); err != nil {
		return r.send(protocol.Report{Error: err.Error()})
	}
	return r.send(protocol.Report{Done: true})
}

func (r *reports) plan() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	kernel := unix.ByteSliceToString(name.Release[:]) + " " + unix.ByteSliceToString(name.Machine[:])
	if err := r.send(protocol.Report{Kernel: kernel}); err != nil {
		return err
	}
	if err := unpack(planDisk, protocol.Dir); err != nil {
		return fmt.Errorf("unpack the plan's disk: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(protocol.Dir, protocol.PlanFile))
	if err != nil {
		return err
	}
	var plan protocol.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return err
	}
	if time.Now().Before(plan.Now) { // without a clock it is 1970
		now := unix.NsecToTimeval(plan.Now.UnixNano())
		if err := unix.Settimeofday(&now); err != nil {
			return err
		}
	}
	for _, job := range plan.Jobs {
		if err := r.run(job); err != nil {
			return err
		}
	}
	return nil
}

// run runs a job. An error is not the job's.
func (r *reports) run(job protocol.Job) error {
	ctx, cancel := context.WithTimeout(context.Background(), job.Limit)
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, job.Args[0], job.Args[1:]...)
	cmd.Dir = job.Dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	output := writer(func(text []byte) error { return r.send(protocol.Report{Job: job.Name, Output: string(text)}) })
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = afterwards
	err := cmd.Run()
	end := protocol.Report{Job: job.Name, Ended: true, Took: time.Since(began)}
	switch {
	case ctx.Err() != nil:
		end.Error = fmt.Sprintf("killed after %s", job.Limit)
	case err != nil:
		end.Error = err.Error()
	}
	return r.send(end)
}

type writer func([]byte) error

func (w writer) Write(text []byte) (int, error) { return len(text), w(text) }

// unpack writes the regular files of an archive below a directory.
func unpack(archive, dir string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	for files := tar.NewReader(file); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, header.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, header.FileInfo().Mode().Perm())
		if err != nil {
			return err
		}
		_, err = io.Copy(to, files)
		if err := errors.Join(err, to.Close()); err != nil {
			return err
		}
	}
}

// build stands in for go build -o TO … PACKAGE: the program was built on the machine that runs this one.
func build(args []string) error {
	said := "go " + strings.Join(args, " ")
	if len(args) < 4 || args[0] != "build" || args[1] != "-o" {
		return fmt.Errorf("%s: a virtual machine of make test-vm has no Go, and can do \"go build -o TO … PACKAGE\" alone", said)
	}
	for _, arg := range args {
		if arg == "-race" {
			return fmt.Errorf("%s: there is no race detector in a virtual machine", said)
		}
	}
	program := filepath.Join(protocol.Dir, protocol.Programs, filepath.Base(args[len(args)-1]))
	if err := copyProgram(program, args[2]); err != nil {
		return fmt.Errorf("%s: %w (hack/vm builds what jobs want to build)", said, err)
	}
	return nil
}
