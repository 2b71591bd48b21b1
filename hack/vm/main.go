// SPDX-License-Identifier: Apache-2.0

// Command vm runs the demo, csi-sanity and those tests that depend on the kernel in a virtual machine with a kernel of Debian's, whole and by
// software alone (qemu-system): of another architecture than this machine's, older, with control groups of version 2. Its root is Debian 12 each
// time, so the kernel alone differs. It must be root, on a Debian.
//
//	go run ./hack/vm -arch arm64 -kernel 6.1
//
// Roots, kernels and logs are in bin/vm. It exits with 1 if anything has failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// suites are the Debian releases that the kernels are of.
var suites = map[string]string{"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}

const cache = "bin/vm"

func main() {
	// The virtual machine is killed when the thread that started it ends.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context) (err error) {
	arch := flag.String("arch", "arm64", "amd64 or arm64")
	kernel := flag.String("kernel", "6.1", "5.10, 6.1 or 6.12: the kernels of Debian 11, 12 and 13")
	tests := flag.String("tests", "", "packages, as pkg/mount, separated by commas (default the demo, csi-sanity, and all whose tests depend on the kernel)")
	only := flag.String("run", "", "pattern of the tests that are run, as go test has it (default all)")
	flag.Parse()
	hardware, known := machines[*arch]
	suite, ofDebian := suites[*kernel]
	if !known || !ofDebian || flag.NArg() > 0 {
		return fmt.Errorf("there is no -arch %s -kernel %s (arm64 or amd64; 5.10, 6.1 or 6.12)", *arch, *kernel)
	}
	work, err := os.MkdirTemp("", "glusterfs-csi-vm-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	m := &machine{hardware: hardware, arch: *arch, work: work, log: filepath.Join(cache, "log", *arch+"-"+*kernel)}
	if err := os.MkdirAll(m.log, 0o755); err != nil {
		return err
	}
	if m.root, err = rootDisk(ctx, *arch); err != nil {
		return err
	}
	modules, err := m.findKernel(ctx, *arch, suite, *kernel)
	if err != nil {
		return err
	}
	packages := all()
	if *tests != "" {
		packages = strings.Split(*tests, ",")
	}
	jobs := jobsOf(*only, packages...)
	if err := m.prepare(ctx, modules, jobs); err != nil {
		return err
	}
	return m.run(ctx, jobs)
}

// output is what a program prints; its error has what it prints there.
func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var said strings.Builder
	cmd.Stderr = &said
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(slices.Concat([]string{name}, args), " "), err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(text)), nil
}
