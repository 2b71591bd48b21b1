// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const (
	fairUnlimited = "the same call of the same driver on a Gluster volume of the same servers whose quota is off"
	fairBareLimit = "the limit alone, on a directory of the same Gluster volume by a client that may set it: nothing is remembered, and nothing forced to disk"
)

// limits measures what a limit costs who makes a volume, and an expansion.
func limits(ctx context.Context, b *bench) (result report.Result, err error) {
	off, exact := limitedDirectories[0], limitedDirectories[1]
	if err := errors.Join(b.quotaVolume(off), b.quotaVolume(exact)); err != nil {
		return result, err
	}
	d, err := b.driverOf(ctx, off.volume, exact.volume)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	made := func(volume string) func(context.Context, int) (float64, error) {
		return timed(func(ctx context.Context, n int) error {
			_, err := d.Create(ctx, fmt.Sprintf("pvc-%d", n), on(volume))
			return err
		})
	}
	creations, err := interleave(ctx, b.sizes.rounds,
		contender{"CreateVolume with a limit", chart.Seconds, b.sizes.calls, made(exact.volume)},
		contender{"CreateVolume, quota off", chart.Seconds, b.sizes.calls, made(off.volume)},
	)
	if err != nil {
		return result, err
	}
	expansions, err := b.expansions(ctx, d, exact.volume)
	if err != nil {
		return result, err
	}
	result.Figures = []report.Figure{
		creations[0].by(creations[1], "make a volume", report.Aim{AtMost: 1.5}, fairUnlimited),
		expansions[0].by(expansions[1], "expand a volume", report.Aim{AtMost: 2}, fairBareLimit),
	}
	return result, nil
}

func on(volume string) func(*csi.CreateVolumeRequest) {
	return func(r *csi.CreateVolumeRequest) { r.Parameters["volume"] = volume }
}

// driverOf runs another driver, for these Gluster volumes.
func (b *bench) driverOf(ctx context.Context, volumes ...string) (*driver, error) {
	dir := b.path("limits")
	clusters := filepath.Join(dir, "clusters.yaml")
	text := fmt.Sprintf("clusters:\n  - name: %s\n    servers: [%s]\n    volumes: [%s]\n", testcluster.Name,
		strings.Join(b.cluster.Servers(), ", "), strings.Join(volumes, ", "))
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(clusters, []byte(text), 0o600)); err != nil {
		return nil, err
	}
	return startDriver(ctx, b.binary, filepath.Join(dir, "driver"), clusters)
}

// expansions makes one volume larger and larger, and the limit of a directory.
func (b *bench) expansions(ctx context.Context, d *driver, volume string) (_ []series, err error) {
	v, err := d.Create(ctx, "expanded", on(volume))
	if err != nil {
		return nil, err
	}
	setter, err := b.cluster.Mount(ctx, volume, gluster.Arguments(volume, gluster.PrivilegedOptions())...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, setter.Close()) }()
	if err := os.Mkdir(filepath.Join(setter.Path, "bare"), 0o700); err != nil {
		return nil, err
	}
	root, err := safepath.OpenRoot(setter.Path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	size := func(n int) int64 { return int64(n+2) << 30 }
	return interleave(ctx, b.sizes.rounds,
		contender{"ControllerExpandVolume", chart.Seconds, b.sizes.calls, timed(func(ctx context.Context, n int) error {
			_, err := d.Controller.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{
				VolumeId: v.GetVolumeId(), CapacityRange: &csi.CapacityRange{RequiredBytes: size(n)},
			})
			return err
		})},
		contender{"setxattr of the limit", chart.Seconds, b.sizes.calls, timed(func(_ context.Context, n int) error {
			dir, err := quota.Open(root, "bare")
			if err != nil {
				return err
			}
			defer dir.Close()
			return dir.SetLimit(quota.Choose(size(n), quota.DefaultHeadroom))
		})},
	)
}
