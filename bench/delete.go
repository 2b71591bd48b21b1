// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
)

const (
	fairRemove = "what a provisioner does that deletes within DeleteVolume, on the same number of equal files, through a mount of the same volume"
	fairEmpty  = "the same call for a volume with nothing in it"
)

// remove measures DeleteVolume, and the reaper that removes the files later. One round has
// one tree for each way, as a tree can be removed only once; a deleted volume is restored, so
// that DeleteVolume gives more samples.
func remove(ctx context.Context, b *bench) (report.Result, error) {
	r := &removal{bench: b}
	all, err := interleave(ctx, b.sizes.rounds,
		contender{"DeleteVolume", chart.Seconds, 1, r.full},
		contender{"DeleteVolume, empty", chart.Seconds, 1, r.empty},
		contender{"rm -rf", chart.Seconds, 1, r.rm},
	)
	if err != nil {
		return report.Result{}, err
	}
	reaped, err := interleave(ctx, b.sizes.rounds,
		contender{"trash reaper", chart.Seconds, 1, r.reap},
		contender{"rm -rf", chart.Seconds, 1, r.rm},
	)
	if err != nil {
		return report.Result{}, err
	}
	reaped[0].processors, reaped[1].processors = r.reaper.busy, r.remover.busy
	files := chart.Number(float64(b.sizes.files)) + " files"
	return report.Result{Figures: []report.Figure{
		all[0].under(all[2], "DeleteVolume of "+files, report.Aim{AtLeast: 100}, fairRemove),
		all[0].by(all[1], "DeleteVolume of "+files, report.Aim{AtMost: 2}, fairEmpty),
		reaped[0].under(reaped[1], "the reaper removes "+files, b.aim(report.Aim{AtLeast: 2}, report.Aim{AtLeast: 8}), fairRemove),
	}}, nil
}

// removal makes what is removed.
type removal struct {
	*bench

	volumes         int
	reaper, remover meter
}

// volume makes a volume with so many files.
func (r *removal) volume(ctx context.Context, files int) (*csi.Volume, error) {
	r.volumes++
	v, err := r.driver.Create(ctx, fmt.Sprintf("delete-%d", r.volumes))
	if err == nil {
		err = fill(rawPath(r.raw, v), files)
	}
	return v, err
}

// again is the median of several deletions of the same volume.
func (r *removal) again(ctx context.Context, v *csi.Volume) (float64, error) {
	const times = 5
	var took []float64
	for i := range times {
		one, err := timed(func(ctx context.Context, _ int) error { return r.driver.Delete(ctx, v) })(ctx, 0)
		if err != nil {
			return 0, err
		}
		took = append(took, one)
		if i == times-1 {
			break
		}
		entry, err := r.driver.TrashEntry(ctx, v)
		if err != nil {
			return 0, err
		}
		if err := run(r.driver.Command(ctx, "trash", "restore", entry)); err != nil {
			return 0, err
		}
	}
	return median(took), nil
}

func (r *removal) full(ctx context.Context, _ int) (float64, error) {
	v, err := r.volume(ctx, r.sizes.files)
	if err != nil {
		return 0, err
	}
	return r.again(ctx, v)
}

func (r *removal) empty(ctx context.Context, _ int) (float64, error) {
	v, err := r.volume(ctx, 0)
	if err != nil {
		return 0, err
	}
	return r.again(ctx, v)
}

// rm removes a tree as a person does.
func (r *removal) rm(ctx context.Context, _ int) (float64, error) {
	r.volumes++
	dir := filepath.Join(r.raw.Path, fmt.Sprintf("rm-%d", r.volumes))
	if err := fill(dir, r.sizes.files); err != nil {
		return 0, err
	}
	return r.remover.timed(func(ctx context.Context, _ int) error { return run(exec.CommandContext(ctx, "rm", "-rf", dir)) })(ctx, 0)
}

// reap removes a deleted volume's files by the reaper's own code, run by the command that an
// administrator has, whose start is part of the time as rm's is.
func (r *removal) reap(ctx context.Context, _ int) (float64, error) {
	v, err := r.volume(ctx, r.sizes.files)
	if err == nil {
		err = r.driver.Delete(ctx, v)
	}
	if err != nil {
		return 0, err
	}
	entry, err := r.driver.TrashEntry(ctx, v)
	if err != nil {
		return 0, err
	}
	return r.reaper.timed(func(ctx context.Context, _ int) error {
		return run(r.driver.Command(ctx, "trash", "purge", entry))
	})(ctx, 0)
}
