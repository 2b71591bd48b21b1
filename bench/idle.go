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
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

const fairCore = "one core that is busy for as long; the aim is a thousandth of it. A node's driver is the node plugin and the mounter, in one process, without its client. The controller runs on one node"

// idle measures the processor time of a driver that nobody asks anything, on a node with many volumes published; and of
// the process that has a controller besides, and no volume published.
func idle(ctx context.Context, b *bench) (result report.Result, err error) {
	node, err := testdriver.StartNode(ctx, b.binary, b.path("node"), b.path("clusters.yaml"))
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, node.Stop()) }()
	count := b.sizes.published[len(b.sizes.published)-1]
	for i := range count {
		v, err := b.driver.Create(ctx, fmt.Sprintf("idle-%d", i))
		if err != nil {
			return result, err
		}
		target := b.target()
		if err := node.Publish(ctx, v, target); err != nil {
			return result, err
		}
		defer func() {
			err = errors.Join(err, node.Unpublish(context.WithoutCancel(ctx), v, target))
		}()
	}
	var used [2]float64
	began := time.Now()
	before, err := processorTimes(node.PID(), b.driver.PID())
	if err != nil {
		return result, err
	}
	select {
	case <-ctx.Done():
		return result, ctx.Err()
	case <-time.After(b.sizes.idle):
	}
	after, err := processorTimes(node.PID(), b.driver.PID())
	if err != nil {
		return result, err
	}
	for i := range used {
		used[i] = after[i] - before[i]
	}
	core := seconds("one core", time.Since(began).Seconds())
	what := fmt.Sprintf("processor time of an idle node's driver, %d volumes published, %v", count, b.sizes.idle)
	result.Figures = []report.Figure{
		seconds("driver", used[0]).under(core, what, report.Aim{AtLeast: 1000}, fairCore),
		seconds("with a controller", used[1]).under(core, "the same with a controller besides, none published", report.Aim{}, fairCore),
	}
	return result, nil
}

// processorTimes are what processes have used since they started, in seconds.
func processorTimes(pids ...int) (all []float64, err error) {
	for _, pid := range pids {
		process, err := procfs.NewProc(pid)
		if err != nil {
			return nil, err
		}
		stat, err := process.Stat()
		if err != nil {
			return nil, err
		}
		all = append(all, stat.CPUTime())
	}
	return all, nil
}

// seconds is a series of one time.
func seconds(name string, value float64) series {
	return series{contender: contender{name: name, unit: chart.Seconds}, rounds: [][]float64{{value}}}
}
