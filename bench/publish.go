// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
)

const (
	fairBind = "two commands, which know nothing of records, ownership, links in the way or dead clients, on a target that is there already; a driver that uses k8s.io/mount-utils runs them for each call"
	fairFUSE = "a client for each volume, by GlusterFS's own `mount -t glusterfs` of the volume's directory: what the in-tree plugin did and what EFS's driver does"
)

// publish measures a publish and the unpublish that follows it, where a client runs already.
func publish(ctx context.Context, b *bench) (report.Result, error) {
	v, err := b.driver.Create(ctx, "publish")
	if err != nil {
		return report.Result{}, err
	}
	driven := func(ctx context.Context, _ int) error { return b.publishOnce(ctx, v) }
	if err := driven(ctx, 0); err != nil { // the client's start is not part of it
		return report.Result{}, err
	}
	target := b.target()
	if err := os.Mkdir(target, 0o700); err != nil {
		return report.Result{}, err
	}
	bind := func(ctx context.Context, _ int) error {
		if err := run(exec.CommandContext(ctx, "mount", "--bind", rawPath(b.raw, v), target)); err != nil {
			return err
		}
		return run(exec.CommandContext(ctx, "umount", target))
	}
	fuse := func(ctx context.Context, _ int) error {
		if err := b.mount(ctx, filepath.Join("/", gv0, v.GetVolumeContext()["path"]), target); err != nil {
			return err
		}
		return run(exec.CommandContext(ctx, "umount", target))
	}
	all, err := interleave(ctx, b.sizes.rounds,
		contender{"NodePublish + NodeUnpublish", chart.Seconds, b.sizes.calls, timed(driven)},
		contender{"mount --bind, umount", chart.Seconds, b.sizes.calls, timed(bind)},
		contender{"a FUSE mount per volume", chart.Seconds, b.sizes.slowCalls, timed(fuse)},
	)
	if err != nil {
		return report.Result{}, err
	}
	const what = "Publish and unpublish a volume, warm client"
	return report.Result{Figures: []report.Figure{
		all[0].under(all[1], what, report.Aim{AtLeast: 1}, fairBind),
		all[0].under(all[2], what, report.Aim{AtLeast: 50}, fairFUSE),
	}}, nil
}

func (b *bench) publishOnce(ctx context.Context, v *csi.Volume) error {
	target := b.target()
	if err := b.driver.Publish(ctx, v, target); err != nil {
		return err
	}
	return b.driver.Unpublish(ctx, v, target)
}
