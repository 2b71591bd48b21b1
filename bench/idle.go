// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/procfs"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
)

const fairCore = "one core that is busy for as long; the aim is a thousandth of it. The driver is the node plugin, the mounter and the controller in one process, without its client"

// idle measures the processor time of a driver that nobody asks anything, on a node with many volumes published.
func idle(ctx context.Context, b *bench) (result report.Result, err error) {
	count := b.sizes.published[len(b.sizes.published)-1]
	for i := range count {
		v, err := b.driver.Create(ctx, fmt.Sprintf("idle-%d", i))
		if err != nil {
			return result, err
		}
		target := b.target()
		if err := b.driver.Publish(ctx, v, target); err != nil {
			return result, err
		}
		defer func() {
			err = errors.Join(err, b.driver.Unpublish(context.WithoutCancel(ctx), v, target))
		}()
	}
	process, err := procfs.NewProc(b.driver.PID())
	if err != nil {
		return result, err
	}
	before, err := process.Stat()
	if err != nil {
		return result, err
	}
	began := time.Now()
	select {
	case <-ctx.Done():
		return result, ctx.Err()
	case <-time.After(b.sizes.idle):
	}
	after, err := process.Stat()
	if err != nil {
		return result, err
	}
	what := fmt.Sprintf("processor time of an idle driver, %d volumes published, %v", count, b.sizes.idle)
	used := seconds("driver", after.CPUTime()-before.CPUTime())
	core := seconds("one core", time.Since(began).Seconds())
	result.Figures = []report.Figure{used.under(core, what, report.Aim{AtLeast: 1000}, fairCore)}
	return result, nil
}

// seconds is a series of one time.
func seconds(name string, value float64) series {
	return series{contender: contender{name: name, unit: chart.Seconds}, rounds: [][]float64{{value}}}
}
