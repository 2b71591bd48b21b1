// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
)

const (
	// bystanderAim is what a pod's mount may wait for those of another.
	bystanderAim = time.Second

	fairOthers = "the same roots with no other mounts in the namespace; all but the new client's start, as before"
	fairAlone  = "the same mount without the other namespace; all but the new client's start; the aim is 1 s more"
)

// repairMany measures what many mounts of one namespace cost, and what they cost another.
func (b *bench) repairMany(ctx context.Context) (figures []report.Figure, err error) {
	v, err := b.driver.Create(ctx, "repair-many")
	if err != nil {
		return nil, err
	}
	target := b.target()
	if err := b.driver.Publish(ctx, v, target); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.driver.Unpublish(ctx, v, target)) }()
	var roots []string
	for i := range b.sizes.roots {
		root := filepath.Join(target, fmt.Sprintf("root-%d", i))
		if err := os.Mkdir(root, 0o755); err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	one := roots[:1]
	all, err := interleave(ctx, b.sizes.rounds,
		b.repaired("with others", podSpec{Targets: roots, Others: b.sizes.others}),
		b.repaired("without others", podSpec{Targets: roots}),
		b.repaired("beside the crowd", podSpec{Targets: one}, podSpec{Targets: one, Copies: b.sizes.crowd}),
		b.repaired("by itself", podSpec{Targets: one}),
	)
	if err != nil {
		return nil, err
	}
	most := 1 + bystanderAim.Seconds()/all[3].measure().Median
	return []report.Figure{
		all[0].by(all[1], fmt.Sprintf("%d roots beside %s other mounts in one namespace", len(roots), chart.Number(float64(b.sizes.others))), report.Aim{AtMost: 2}, fairOthers),
		all[2].by(all[3], fmt.Sprintf("one mount of a pod, while another pod has %s dead ones", chart.Number(float64(b.sizes.crowd))), report.Aim{AtMost: most}, fairAlone),
	}, nil
}

// repaired is how long it takes until the mounts of the first pod are back after a kill, all but the new client's
// start. The others are there before it, and have theirs repaired as well.
func (b *bench) repaired(name string, first podSpec, others ...podSpec) contender {
	return contender{name, chart.Seconds, b.sizes.slowCalls, func(ctx context.Context, n int) (took float64, err error) {
		for i, spec := range append(others, first) {
			spec.Root = b.path(fmt.Sprintf("%s-%d-%d", name, n, i))
			p, err := startPod(spec)
			if err != nil {
				return 0, err
			}
			defer func() { err = errors.Join(err, p.end()) }()
			if i < len(others) {
				continue
			}
			whole, start, err := b.killAndRepair(ctx, []*pod{p})
			if err != nil {
				return 0, err
			}
			took = (whole - start).Seconds()
		}
		return took, nil
	}}
}
