// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const fairQuotaOff = "the same on a Gluster volume of the same servers whose quota is off, by a client with the same options"

// limited is a directory whose use is measured.
type limited struct {
	name     string
	volume   string
	commands int // how many of those that turn quota on are run
	bytes    int64
}

// limitedDirectories are what a volume may be; the first is what the others are compared with.
var limitedDirectories = []limited{
	{"quota off", "gv-off", 0, 0},
	{"1 GiB, asked about each write", "gv-exact", 3, quota.DefaultHeadroom},
	{"100 GiB, before its headroom", "gv-exact", 3, 100 * quota.DefaultHeadroom},
	{"1 GiB, GlusterFS's own timeouts", "gv-default", 1, quota.DefaultHeadroom},
}

// quotas measures what limits cost who writes, and those who set them nothing: no driver takes part.
func quotas(ctx context.Context, b *bench) (result report.Result, err error) {
	var paths []string
	for i, l := range limitedDirectories {
		path, end, err := b.limit(ctx, l, fmt.Sprintf("limited-%d", i))
		if err != nil {
			return result, fmt.Errorf("%s: %w", l.name, err)
		}
		defer end()
		paths = append(paths, path)
	}
	for _, j := range jobs {
		if j.side != "write" {
			continue
		}
		unit := chart.BytesPerSecond
		if j.iops {
			unit = chart.PerSecond
		}
		figures, err := b.compareLimited(ctx, j.what, unit, func(ctx context.Context, i, _ int) (float64, error) { return j.run(ctx, b.sizes, paths[i]) })
		if err != nil {
			return result, err
		}
		result.Figures = append(result.Figures, figures...)
	}
	create := steps[0]
	figures, err := b.compareLimited(ctx, create.what, chart.PerSecond, func(_ context.Context, i, n int) (float64, error) {
		files := make([]string, b.sizes.metadata)
		for k := range files {
			files[k] = filepath.Join(paths[i], fmt.Sprintf("%d-%d", n, k))
		}
		return rate(create.least, files, create.do)
	})
	result.Figures = append(result.Figures, figures...)
	return result, err
}

// compareLimited compares each directory with the first.
func (b *bench) compareLimited(ctx context.Context, what string, unit chart.Unit, sample func(ctx context.Context, i, n int) (float64, error)) ([]report.Figure, error) {
	var contenders []contender
	for i, l := range limitedDirectories {
		contenders = append(contenders, contender{l.name, unit, b.sizes.slowCalls, func(ctx context.Context, n int) (float64, error) { return sample(ctx, i, n) }})
	}
	all, err := interleave(ctx, b.sizes.rounds, contenders...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var figures []report.Figure
	for _, s := range all[1:] {
		figures = append(figures, s.by(all[0], what+", "+s.name, report.Aim{}, fairQuotaOff))
	}
	return figures, nil
}

// limit makes a directory with its limit, if it is to have one, on a Gluster volume that is made for the first of them,
// and returns its path on a mount for pods.
func (b *bench) limit(ctx context.Context, l limited, name string) (path string, end func(), err error) {
	if err := b.quotaVolume(l); err != nil {
		return "", nil, err
	}
	pods, err := b.cluster.Mount(ctx, l.volume, gluster.Arguments(l.volume, nil)...)
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(pods.Path, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		return "", nil, err
	}
	if l.bytes > 0 {
		err = b.setLimit(ctx, l, name)
	}
	return path, func() { _ = pods.Close() }, err
}

func (b *bench) setLimit(ctx context.Context, l limited, name string) (err error) {
	setter, err := b.cluster.Mount(ctx, l.volume, gluster.Arguments(l.volume, gluster.PrivilegedOptions())...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, setter.Close()) }()
	root, err := safepath.OpenRoot(setter.Path)
	if err != nil {
		return err
	}
	defer root.Close()
	dir, err := quota.Open(root, name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.SetLimit(quota.Choose(l.bytes, quota.DefaultHeadroom))
}

// quotaVolume makes the Gluster volume of a directory, unless it is there.
func (b *bench) quotaVolume(l limited) error {
	for _, name := range b.cluster.Volumes() {
		if name == l.volume {
			return nil
		}
	}
	if err := b.cluster.CreateVolume(l.volume, testcluster.VolumeOptions{}); err != nil {
		return err
	}
	for _, command := range (quota.State{}).Commands(gluster.Volume{Cluster: testcluster.Name, Name: l.volume})[:l.commands] {
		if _, err := b.cluster.Gluster(strings.Fields(command)[1:]...); err != nil {
			return err
		}
	}
	return nil
}
