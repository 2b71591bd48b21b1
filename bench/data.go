// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const fairRaw = "the same files through a mount of the same Gluster volume by a client of its own with the same options, started by hand: what a pod would have without any driver"

// The two ways to the same data.
const (
	published = "published target"
	rawMount  = "raw mount"
)

// aimSame is what a bind mount is to be: no layer at all, within the noise.
var aimSame = report.Aim{AtLeast: 0.97, AtMost: 1.03}

// job is one pattern of access by fio.
type job struct {
	what string
	args []string
	side string // of fio's result: read or write
	iops bool   // calls per second rather than bytes
}

// jobs bypass the kernel's cache, which is the same for both, except where fsync is what is
// measured. The first writes the file that the others use.
var jobs = []job{
	{"sequential write, 1 MiB", []string{"--rw=write", "--bs=1M", "--direct=1"}, "write", false},
	{"sequential read, 1 MiB", []string{"--rw=read", "--bs=1M", "--direct=1"}, "read", false},
	{"random write, 4 KiB", []string{"--rw=randwrite", "--bs=4k", "--direct=1"}, "write", true},
	{"random read, 4 KiB", []string{"--rw=randread", "--bs=4k", "--direct=1"}, "read", true},
	{"write 4 KiB + fsync", []string{"--rw=write", "--bs=4k", "--fsync=1"}, "write", true},
}

// data measures reading and writing through a published target.
func data(ctx context.Context, b *bench) (result report.Result, err error) {
	v, err := b.driver.Create(ctx, "data")
	if err != nil {
		return result, err
	}
	target := b.target()
	if err := b.driver.Publish(ctx, v, target); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, b.driver.Unpublish(ctx, v, target)) }()
	alike, err := b.mountAlike(ctx)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, alike.Close()) }()
	raw := rawPath(alike, v)
	for _, j := range jobs {
		unit := chart.BytesPerSecond
		if j.iops {
			unit = chart.PerSecond
		}
		sample := func(dir string) func(context.Context, int) (float64, error) {
			return func(ctx context.Context, _ int) (float64, error) { return j.run(ctx, b.sizes, dir) }
		}
		all, err := interleave(ctx, b.sizes.rounds,
			contender{published, unit, b.sizes.slowCalls, sample(target)}, contender{rawMount, unit, b.sizes.slowCalls, sample(raw)})
		if err != nil {
			return result, fmt.Errorf("%s: %w", j.what, err)
		}
		result.Figures = append(result.Figures, all[0].by(all[1], j.what, aimSame, fairRaw))
	}
	figures, err := b.metadata(ctx, target, raw)
	result.Figures = append(result.Figures, figures...)
	return result, err
}

// mountAlike mounts gv0 by hand, by a client with the options of the driver's.
func (b *bench) mountAlike(ctx context.Context) (*testcluster.RawMount, error) {
	pid, err := b.driver.client()
	if err != nil {
		return nil, err
	}
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	var options []string
	for argument := range strings.SplitSeq(string(command), "\x00") {
		name, _, hasValue := strings.Cut(argument, "=")
		if hasValue && strings.HasPrefix(name, "--") && !slices.Contains([]string{"--log-file", "--volfile-server", "--volfile-id"}, name) {
			options = append(options, argument)
		}
	}
	return b.cluster.Mount(ctx, gv0, options...)
}

// run runs fio and returns bytes or calls per second.
func (j job) run(ctx context.Context, s sizes, dir string) (float64, error) {
	args := append([]string{
		"--name=bench", "--directory=" + dir, "--filename=data", "--size=" + strconv.Itoa(s.fioMiB) + "M", "--ioengine=psync", "--fallocate=none",
		"--time_based", "--runtime=" + strconv.Itoa(s.fioSeconds), "--randseed=1", "--output-format=json",
	}, j.args...)
	output, err := exec.CommandContext(ctx, "fio", args...).Output()
	if err != nil {
		return 0, fmt.Errorf("fio: %w: %.400s", err, output)
	}
	var said struct {
		Jobs []map[string]json.RawMessage `json:"jobs"`
	}
	var side struct {
		Bytes float64 `json:"bw_bytes"`
		IOPS  float64 `json:"iops"`
	}
	if err := json.Unmarshal(output, &said); err != nil {
		return 0, fmt.Errorf("fio: %w: %.400s", err, output)
	}
	if len(said.Jobs) != 1 {
		return 0, fmt.Errorf("fio ran %d jobs, not 1", len(said.Jobs))
	}
	if err := json.Unmarshal(said.Jobs[0][j.side], &side); err != nil {
		return 0, err
	}
	if j.iops {
		return side.IOPS, nil
	}
	return side.Bytes, nil
}

// steps are what is done with a number of files, one file after the other. The kernel's cache
// is passed by; the client's own holds attributes for a second, so stat goes on for longer
// than that, lest its outcome depend on how long ago the files were made.
var steps = []struct {
	what  string
	least time.Duration
	do    func(path string) error
}{
	{"create a file", 0, func(path string) error { return os.WriteFile(path, nil, 0o600) }},
	{"stat", 2 * time.Second, func(path string) error {
		var st unix.Statx_t
		return unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &st)
	}},
	{"unlink", 0, os.Remove},
}

// rate does a step with all files, again and again until its time is over, and returns how
// many files per second that was.
func rate(least time.Duration, paths []string, do func(path string) error) (float64, error) {
	began, passes := time.Now(), 0
	for passes == 0 || time.Since(began) < least {
		for _, path := range paths {
			if err := do(path); err != nil {
				return 0, err
			}
		}
		passes++
	}
	return float64(passes*len(paths)) / time.Since(began).Seconds(), nil
}

// metadata measures the steps. One sample is all of them, as each needs the one before.
func (b *bench) metadata(ctx context.Context, target, raw string) ([]report.Figure, error) {
	both := [2][]series{}
	pass := func(who int, name, dir string) contender {
		for range steps {
			both[who] = append(both[who], series{contender: contender{name: name, unit: chart.PerSecond}, rounds: make([][]float64, b.sizes.rounds)})
		}
		return contender{name, chart.PerSecond, b.sizes.slowCalls, func(_ context.Context, n int) (float64, error) {
			paths := make([]string, b.sizes.metadata)
			for i := range paths {
				paths[i] = filepath.Join(dir, fmt.Sprintf("%d-%d-%d", who, n, i))
			}
			for i, step := range steps {
				perSecond, err := rate(step.least, paths, step.do)
				if err != nil {
					return 0, err
				}
				s, round := &both[who][i], n/b.sizes.slowCalls
				s.rounds[round] = append(s.rounds[round], perSecond)
			}
			return 0, nil
		}}
	}
	if _, err := interleave(ctx, b.sizes.rounds, pass(0, published, target), pass(1, rawMount, raw)); err != nil {
		return nil, err
	}
	var figures []report.Figure
	for i, step := range steps {
		figures = append(figures, both[0][i].by(both[1][i], step.what, aimSame, fairRaw))
	}
	return figures, nil
}
