// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

const gv0 = "gv0"

// bench is what the scenarios share: a cluster, the driver, and a mount of gv0 that the
// driver knows nothing of.
type bench struct {
	sizes   sizes
	about   report.Run
	cluster *testcluster.Cluster
	dir     string // for everything; the cluster removes it
	binary  string // the driver's
	driver  *driver
	raw     *testcluster.RawMount
	wire    *wire.Wire // nil: the servers are on loopback
	targets int
}

func start(ctx context.Context, sizes sizes) (_ *bench, err error) {
	b := &bench{sizes: sizes}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if sizes.roundTrip > 0 {
		if b.wire, err = wire.Open(); err != nil {
			return nil, err
		}
	}
	if b.cluster, err = testcluster.Start(ctx, testcluster.Options{Wire: b.wire}); err != nil {
		return nil, err
	}
	b.dir = filepath.Join(b.cluster.Dir(), "bench")
	if err := os.MkdirAll(b.path("pods"), 0o700); err != nil {
		return nil, err
	}
	b.binary = filepath.Join(b.dir, "glusterfs-csi")
	if err := errors.Join(testdriver.Build(ctx, b.binary, testdriver.Source, false), b.cluster.ClustersFile(b.path("clusters.yaml"))); err != nil {
		return nil, err
	}
	if b.driver, err = startDriver(ctx, b.binary, b.path("driver"), b.path("clusters.yaml")); err != nil {
		return nil, err
	}
	if b.raw, err = b.cluster.Mount(ctx, gv0); err != nil {
		return nil, err
	}
	if b.wire != nil {
		b.wire.SetRoundTrip(sizes.roundTrip)
	}
	b.about = about(ctx, sizes)
	return b, nil
}

func (b *bench) close() error {
	var err error
	if b.driver != nil {
		err = b.driver.Stop()
	}
	if b.cluster != nil {
		err = errors.Join(err, b.cluster.Close())
	}
	if b.wire != nil {
		err = errors.Join(err, b.wire.Close())
	}
	return err
}

// aim is what a ratio should be on loopback, and over a wire of 1 ms. Over others it is shown.
func (b *bench) aim(loopback, wired report.Aim) report.Aim {
	switch b.sizes.roundTrip {
	case 0:
		return loopback
	case time.Millisecond:
		return wired
	}
	return report.Aim{}
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// target is a path for a publish that nobody had before. It is in a directory of its own: the driver watches that of its clusters file.
func (b *bench) target() string {
	b.targets++
	return b.path(fmt.Sprintf("pods/target-%d", b.targets))
}

// run runs a command; its error has what the command said.
func run(cmd *exec.Cmd) error {
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(output))
	}
	return nil
}

// install installs what is missing of fio, by which the data path is measured, and rsync, with which copies are compared.
func install(ctx context.Context) error {
	var missing []string
	for _, name := range []string{"fio", "rsync"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	fmt.Fprintln(os.Stderr, "Installing:", strings.Join(missing, " "))
	for _, args := range [][]string{{"update", "-qq"}, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if err := run(cmd); err != nil {
			return err
		}
	}
	return nil
}

// about says on what the figures were measured.
func about(ctx context.Context, s sizes) report.Run {
	first := func(name string, args ...string) string {
		output, _ := exec.CommandContext(ctx, name, args...).Output() // a page without it is a page
		text, _, _ := strings.Cut(string(output), "\n")
		return text
	}
	var kernel unix.Utsname
	_ = unix.Uname(&kernel)
	return report.Run{
		Commit: first("git", "describe", "--always", "--dirty"), Machine: machine(),
		Kernel: unix.ByteSliceToString(kernel.Release[:]), Gluster: strings.TrimPrefix(first("glusterfs", "--version"), "glusterfs "),
		Go: runtime.Version(), Size: s.name, Rounds: s.rounds, RoundTrip: s.roundTrip.Seconds(),
	}
}

func machine() string {
	model := runtime.GOARCH
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	const gib = 1 << 30
	var memory unix.Sysinfo_t
	_ = unix.Sysinfo(&memory)
	return fmt.Sprintf("%s, %d cores, %d GiB", model, runtime.NumCPU(), memory.Totalram*uint64(memory.Unit)/gib)
}
