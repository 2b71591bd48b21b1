// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
)

const (
	fairCopy   = "cp of coreutils, in archive mode, of the same tree through the same mount; it syncs nothing, and large files it has the bricks copy (copy_file_range)"
	fairRead   = "the same with --reflink=never: what is copied is read and written"
	fairSecond = "the first copy of the same tree; one file of a hundred was changed since"
	large      = "large"
	small      = "small"
)

// copyTrees measures what snapshots and clones are made of.
func copyTrees(ctx context.Context, b *bench) (report.Result, error) {
	c := &copying{bench: b, top: filepath.Join(b.raw.Path, "copy")}
	if err := c.plant(); err != nil {
		return report.Result{}, err
	}
	bytes, err := interleave(ctx, b.sizes.rounds,
		contender{"copy", chart.Seconds, 1, c.copier.timed(func(ctx context.Context, n int) error { return c.copy(ctx, large, n) })},
		contender{"cp -a", chart.Seconds, 1, c.cp.timed(func(ctx context.Context, n int) error { return c.cpArchive(ctx, large, n) })},
		contender{"cp -a --reflink=never", chart.Seconds, 1, timed(func(ctx context.Context, n int) error {
			return c.cpArchive(ctx, large, n, "--reflink=never")
		})},
	)
	if err != nil {
		return report.Result{}, err
	}
	bytes[0].processors, bytes[1].processors = c.copier.busy, c.cp.busy
	c.copier, c.cp = meter{}, meter{}
	files, err := interleave(ctx, b.sizes.rounds,
		contender{"copy", chart.Seconds, 1, c.copier.timed(func(ctx context.Context, n int) error { return c.copy(ctx, small, n) })},
		contender{"second copy", chart.Seconds, 1, c.second},
		contender{"cp -a", chart.Seconds, 1, c.cp.timed(func(ctx context.Context, n int) error { return c.cpArchive(ctx, small, n) })},
	)
	if err != nil {
		return report.Result{}, err
	}
	files[0].processors, files[2].processors = c.copier.busy, c.cp.busy
	number := chart.Number(float64(b.sizes.files)) + " files"
	size := fmt.Sprintf("Copy of %d MiB in 4 files", 4*b.sizes.fioMiB)
	return report.Result{Figures: []report.Figure{
		bytes[0].under(bytes[1], size, report.Aim{AtLeast: 1.5}, fairCopy),
		bytes[0].under(bytes[2], size+", read and written", report.Aim{AtLeast: 1.5}, fairRead),
		files[0].under(files[2], "Copy of "+number, report.Aim{AtLeast: 4}, fairCopy),
		files[1].by(files[0], "Second copy of "+number+", 1 % changed", report.Aim{AtMost: 0.25}, fairSecond),
	}}, nil
}

// copying has the trees.
type copying struct {
	*bench

	top        string
	copier, cp meter
}

func (c *copying) at(name string, n int) string {
	return filepath.Join(c.top, fmt.Sprintf("%s-%d", name, n))
}

func (c *copying) plant() error {
	for _, dir := range []string{large, small} {
		if err := os.MkdirAll(filepath.Join(c.top, dir), 0o755); err != nil {
			return err
		}
	}
	return errors.Join(fillLarge(filepath.Join(c.top, large), c.sizes.fioMiB), fill(filepath.Join(c.top, small), c.sizes.files))
}

// copy makes the n-th copy of a tree.
func (c *copying) copy(ctx context.Context, tree string, n int) error {
	return c.copyAfter(ctx, tree, c.at(tree, n), "")
}

func (c *copying) copyAfter(ctx context.Context, tree, to, previous string) error {
	paths := []string{filepath.Join(c.top, tree), to, to + ".work"}
	if previous != "" {
		paths = append(paths, previous, previous+".work")
	}
	var held []*safepath.Dir
	defer func() {
		for _, dir := range held {
			dir.Close()
		}
	}()
	for _, path := range paths {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		dir, err := safepath.OpenRoot(path)
		if err != nil {
			return err
		}
		held = append(held, dir)
	}
	o := copies.Options{Work: held[2]}
	if previous != "" {
		o.Previous = &copies.Previous{Tree: held[3], Work: held[4]}
	}
	_, err := copies.Copy(ctx, held[0], held[1], o)
	return err
}

// second copies again what copy has copied, after one file of a hundred was changed. What of an earlier round changed
// is the same: the copy before is the round's own, or was made for this.
func (c *copying) second(ctx context.Context, n int) (float64, error) {
	before := c.at("before", n)
	if err := c.copyAfter(ctx, small, before, ""); err != nil {
		return 0, err
	}
	for i := 0; i < c.sizes.files; i += 100 {
		path := filepath.Join(c.top, small, fmt.Sprintf("d%03d", i/perDirectory), fmt.Sprintf("f%05d", i))
		if err := os.WriteFile(path, fmt.Appendf(nil, "changed %d\n", n), 0o644); err != nil {
			return 0, err
		}
	}
	return timed(func(ctx context.Context, n int) error { return c.copyAfter(ctx, small, c.at("second", n), before) })(ctx, n)
}

func (c *copying) cpArchive(ctx context.Context, tree string, n int, more ...string) error {
	to := c.at(strings.Join(append([]string{tree}, more...), ""), n) + "-cp"
	text, err := exec.CommandContext(ctx, "cp", append(more, "-a", filepath.Join(c.top, tree), to)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cp -a: %w: %s", err, text)
	}
	return nil
}
