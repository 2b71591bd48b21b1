// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
)

const (
	strictTarget  = "strict"
	relaxedTarget = "relaxed"
	fairRelaxed   = "the same on a volume of a class without `consistency: strict`, of the same Gluster volume and by the same driver: what is not remembered is asked for each time"
)

// mixed is what many servers of data do: two reads for a write.
var mixed = job{"random reads and writes (70 to 30), 4 KiB", []string{"--rw=randrw", "--rwmixread=70", "--bs=4k"}, "read", true}

// consistency measures what a strict volume costs against a relaxed one.
func consistency(ctx context.Context, b *bench) (result report.Result, err error) {
	var targets [2]string
	for i, kind := range []string{strictTarget, relaxedTarget} {
		v, err := b.driver.Create(ctx, "consistency-"+kind)
		if err != nil {
			return result, err
		}
		v.VolumeContext["consistency"] = kind
		targets[i] = b.target()
		if err := b.driver.Publish(ctx, v, targets[i]); err != nil {
			return result, err
		}
		defer func(v *csi.Volume, target string) { err = errors.Join(err, b.driver.Unpublish(ctx, v, target)) }(v, targets[i])
		if err := b.prepareTree(ctx, targets[i]); err != nil {
			return result, err
		}
	}
	for _, row := range b.consistencyRows() {
		sample := func(dir string) func(context.Context, int) (float64, error) {
			return func(ctx context.Context, n int) (float64, error) { return row.sample(ctx, dir, n) }
		}
		all, err := interleave(ctx, b.sizes.rounds,
			contender{strictTarget, row.unit, b.sizes.slowCalls, sample(targets[0])}, contender{relaxedTarget, row.unit, b.sizes.slowCalls, sample(targets[1])})
		if err != nil {
			return result, fmt.Errorf("%s: %w", row.what, err)
		}
		compare := all[0].under // how many times less, of a rate
		if row.unit == chart.Seconds {
			compare = all[0].by // how many times as long
		}
		result.Figures = append(result.Figures, compare(all[1], row.what, report.Aim{}, fairRelaxed))
	}
	return result, nil
}

// prepareTree makes the files that are read, and a repository to clone.
func (b *bench) prepareTree(ctx context.Context, dir string) error {
	if err := fill(filepath.Join(dir, "tree"), b.sizes.metadata); err != nil {
		return err
	}
	repository := b.path("repository")
	if _, err := os.Stat(repository); err == nil {
		return nil
	}
	if err := fill(repository, b.sizes.metadata); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "-q"}, {"add", "."}, {"-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "files"},
	} {
		if err := run(exec.CommandContext(ctx, "git", append([]string{"-C", repository}, args...)...)); err != nil {
			return err
		}
	}
	return nil
}

// row is one thing that is done with a volume.
type row struct {
	what   string
	unit   chart.Unit
	sample func(ctx context.Context, dir string, n int) (float64, error)
}

func (b *bench) consistencyRows() []row {
	byFio := func(j job) row {
		unit := chart.BytesPerSecond
		if j.iops {
			unit = chart.PerSecond
		}
		return row{j.what, unit, func(ctx context.Context, dir string, _ int) (float64, error) { return j.run(ctx, b.sizes, dir) }}
	}
	cached := func(j job) job { // by the kernel, where it may
		return job{j.what + ", cached", j.args[:len(j.args)-1], j.side, j.iops}
	}
	perFile := func(what string, do func(path string) error) row {
		return row{what, chart.PerSecond, func(_ context.Context, dir string, _ int) (float64, error) {
			paths, err := filepath.Glob(filepath.Join(dir, "tree/*/*"))
			if err != nil {
				return 0, err
			}
			return rate(0, paths, do)
		}}
	}
	command := func(what string, args func(dir string, n int) []string) row {
		return row{what, chart.Seconds, func(ctx context.Context, dir string, n int) (float64, error) {
			return timed(func(ctx context.Context, n int) error {
				a := args(dir, n)
				return run(exec.CommandContext(ctx, a[0], a[1:]...))
			})(ctx, n)
		}}
	}
	return []row{
		byFio(jobs[0]), byFio(cached(jobs[1])), byFio(cached(jobs[3])), byFio(mixed), byFio(jobs[4]),
		perFile("stat a file that was seen before", func(path string) error { _, err := os.Stat(path); return err }),
		perFile("open and read a small file", func(path string) error { _, err := os.ReadFile(path); return err }),
		perFile("replace a small file", func(path string) error { return os.WriteFile(path, []byte("another small file\n"), 0o644) }),
		command("ls -l of 100 files", func(dir string, _ int) []string { return []string{"ls", "-l", filepath.Join(dir, "tree/d000")} }),
		command("git clone of "+chart.Number(float64(b.sizes.metadata))+" files", func(dir string, n int) []string {
			return []string{"git", "clone", "-q", "--no-hardlinks", b.path("repository"), filepath.Join(dir, "clone-"+strconv.Itoa(n))}
		}),
	}
}
