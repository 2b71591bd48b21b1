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
	"syscall"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/hack/vm/protocol"
)

// hardware is a kind of machine that qemu plays.
type hardware struct {
	qemu    string
	args    []string
	console string
}

var machines = map[string]hardware{
	"arm64": {"qemu-system-aarch64", []string{"-machine", "virt,gic-version=3", "-cpu", "cortex-a72"}, "ttyAMA0"}, // as a Raspberry Pi 4's
	"amd64": {"qemu-system-x86_64", []string{"-machine", "q35", "-cpu", "Nehalem"}, "ttyS0"},
}

const (
	// memory is in MiB, of which a virtual machine takes what it uses.
	memory     = "4096"
	parameters = "panic=1 loglevel=5" // the kernel's
	// overhead is what a machine may take beside its jobs, to start and to end.
	overhead = 5 * time.Minute
)

// machine is one virtual machine.
type machine struct {
	hardware

	arch   string
	root   string // image of its root's disk, which stays as it is
	kernel string
	work   string // directory of what is made for it
	log    string // directory of what it and its jobs print
}

func (m *machine) initrd() string   { return filepath.Join(m.work, "initrd") }
func (m *machine) planDisk() string { return filepath.Join(m.work, "plan.tar") }

// run runs the machine until it has done its jobs, and prints what came of them.
func (m *machine) run(ctx context.Context, jobs []job) error {
	ctx, cancel := context.WithTimeout(ctx, overhead+time.Duration(len(jobs))*jobLimit)
	defer cancel()
	args := append(append([]string{}, m.args...), "-accel", "tcg,thread=multi", "-smp", "2", "-m", memory, "-nic", "none", "-display", "none", "-no-reboot",
		"-kernel", m.kernel, "-initrd", m.initrd(), "-append", "console="+m.console+" "+parameters,
		"-drive", "file="+m.root+",format=raw,if=virtio,snapshot=on,cache=unsafe",
		"-drive", "file="+m.planDisk()+",format=raw,if=virtio,readonly=on",
		"-serial", "file:"+m.kernelLog(),
		"-chardev", "file,id=reports,path=/dev/stdout", "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=reports,nr=1")
	cmd := exec.CommandContext(ctx, m.qemu, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	r := newResults(m.log)
	if err := cmd.Start(); err != nil {
		return err
	}
	err = r.read(pipe)
	if err != nil {
		_ = cmd.Process.Kill() // it says nothing that is understood
	}
	err = errors.Join(err, ctx.Err(), cmd.Wait())
	if err != nil {
		err = fmt.Errorf("the virtual machine: %w (what its kernel has said is in %s)", err, m.kernelLog())
	}
	return errors.Join(err, r.summary(os.Stdout, jobs))
}

// kernelLog is where what the kernel says is written.
func (m *machine) kernelLog() string { return filepath.Join(m.log, "console.log") }

// read reads what the machine reports until it ends.
func (r *results) read(pipe io.Reader) error {
	for decoder := json.NewDecoder(pipe); ; {
		var report protocol.Report
		if err := decoder.Decode(&report); errors.Is(err, io.EOF) {
			if !r.done {
				return errors.New("it has ended before its jobs")
			}
			return nil
		} else if err != nil {
			return err
		}
		if err := r.take(report); err != nil {
			return err
		}
	}
}
