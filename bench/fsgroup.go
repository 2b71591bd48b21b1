// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

const (
	gid       = 2000
	fairChown = "what kubelet does for a driver that leaves fsGroup to it (SetVolumeOwnership): lchown and chmod of every entry in turn, on an equal tree through a mount of the same volume"
	fairAgain = "the same once more, which changes nothing: kubelet's default policy, Always, does it at every start of a pod"
)

// fsGroup measures the publish of a volume full of files for a group, and the next one.
func fsGroup(ctx context.Context, b *bench) (report.Result, error) {
	g := &grouping{bench: b, volumes: map[int]*csi.Volume{}}
	first, err := interleave(ctx, b.sizes.rounds,
		contender{"publish", chart.Seconds, 1, g.first},
		contender{"kubelet's serial walk", chart.Seconds, 1, g.walkFirst},
	)
	if err != nil {
		return report.Result{}, err
	}
	first[0].processors, first[1].processors = g.publisher.busy, g.walker.busy
	second, err := interleave(ctx, b.sizes.rounds,
		contender{"publish", chart.Seconds, 1, g.second},
		contender{"kubelet's walk, nothing to change", chart.Seconds, 1, g.walk},
	)
	if err != nil {
		return report.Result{}, err
	}
	files := chart.Number(float64(b.sizes.files)) + " files"
	return report.Result{Figures: []report.Figure{
		first[0].under(first[1], "First publish with a new group, "+files, b.aim(report.Aim{AtLeast: 4}, report.Aim{AtLeast: 8}), fairChown),
		second[0].under(second[1], "Every later publish, "+files, report.Aim{AtLeast: 1000}, fairAgain),
	}}, nil
}

// grouping holds the trees, one for each way and round.
type grouping struct {
	*bench

	volumes           map[int]*csi.Volume
	publisher, walker meter
}

func (g *grouping) first(ctx context.Context, n int) (float64, error) {
	v, err := g.driver.Create(ctx, fmt.Sprintf("fsgroup-%d", n))
	if err == nil {
		err = fill(rawPath(g.raw, v), g.sizes.files)
	}
	if err != nil {
		return 0, err
	}
	g.volumes[n] = v
	return g.second(ctx, n)
}

// second publishes for the group; unpublishing is not counted.
func (g *grouping) second(ctx context.Context, n int) (float64, error) {
	target := g.target()
	took, err := g.publisher.timed(func(ctx context.Context, n int) error {
		return g.driver.Publish(ctx, g.volumes[n], target, testdriver.Group(strconv.Itoa(gid)))
	})(ctx, n)
	if err == nil {
		err = g.driver.Unpublish(ctx, g.volumes[n], target)
	}
	return took, err
}

func (g *grouping) tree(n int) string {
	return filepath.Join(g.raw.Path, fmt.Sprintf("fsgroup-raw-%d", n))
}

func (g *grouping) walkFirst(ctx context.Context, n int) (float64, error) {
	if err := fill(g.tree(n), g.sizes.files); err != nil {
		return 0, err
	}
	return g.walk(ctx, n)
}

func (g *grouping) walk(ctx context.Context, n int) (float64, error) {
	return g.walker.timed(func(context.Context, int) error { return setVolumeOwnership(g.tree(n)) })(ctx, n)
}

// setVolumeOwnership does what kubelet's function of that name does (Kubernetes 1.37,
// pkg/volume/volume_linux.go): masks and order of the calls are its own.
func setVolumeOwnership(dir string) error {
	return filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if err := os.Lchown(path, -1, gid); err != nil {
			return err
		}
		if info.Mode()&os.ModeSymlink != 0 {
			return nil
		}
		mask := os.FileMode(0o660)
		if info.IsDir() {
			mask |= os.ModeSetgid | 0o110
		}
		return os.Chmod(path, info.Mode()|mask)
	})
}
