// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

const (
	fairFloor = "a gRPC server with the same imports that answers Probe and nothing else: the least that a driver in Go can be"
	fairImage = "the driver alone, which every image of it holds; the rest is GlusterFS's client with its libraries"
	fairIdle  = "the same process before the first call, other than Probe"
)

// footprint measures the driver's process without its clients, and its binary. Memory is RSS:
// another driver runs beside this one, and would take half of the pages of the binary on
// itself in PSS.
func footprint(ctx context.Context, b *bench) (report.Result, error) {
	floor := b.path("floor")
	if err := testdriver.Build(ctx, floor, "./bench/floor", false); err != nil {
		return report.Result{}, err
	}
	idle, err := interleave(ctx, b.sizes.rounds,
		contender{"driver, idle", chart.Bytes, b.sizes.slowCalls, func(ctx context.Context, _ int) (float64, error) {
			d, err := startDriver(ctx, b.binary, b.path("idle"), b.path("clusters.yaml"))
			return d.footprint(err)
		}},
		contender{"a bare gRPC server", chart.Bytes, b.sizes.slowCalls, func(ctx context.Context, _ int) (float64, error) {
			d, err := testdriver.StartOther(ctx, floor, b.path("bare"))
			return (&driver{d}).footprint(err)
		}},
	)
	if err != nil {
		return report.Result{}, err
	}
	after, err := b.busy(ctx)
	if err != nil {
		return report.Result{}, err
	}
	binary, errBinary := size(b.binary, "driver")
	bare, errBare := size(floor, "a bare gRPC server")
	image, errImage := size(fmt.Sprintf("bin/image/glusterfs-csi-%s.tar", runtime.GOARCH), "image")
	if err := errors.Join(errBinary, errBare, errImage); err != nil {
		return report.Result{}, err
	}
	made := "memory (RSS) after " + chart.Number(float64(b.sizes.made)) + " volumes were made"
	return report.Result{Figures: []report.Figure{
		idle[0].by(idle[1], "memory (RSS), idle", report.Aim{AtMost: 1.5}, fairFloor),
		after.by(named(flat(idle[0].measure().Median, "driver, idle"), "driver, idle"), made, report.Aim{}, fairIdle),
		binary.by(bare, "size of the binary", report.Aim{}, fairFloor),
		image.by(named(binary, "its binary"), "size of the image, unpacked", report.Aim{}, fairImage),
	}}, nil
}

// footprint reads a process's memory and ends it.
func (d *driver) footprint(startErr error) (float64, error) {
	if startErr != nil {
		return 0, startErr
	}
	memory, err := rss(d.PID())
	return memory, errors.Join(err, d.Stop())
}

// busy is a driver's memory after it has made many volumes.
func (b *bench) busy(ctx context.Context) (series, error) {
	d, err := startDriver(ctx, b.binary, b.path("busy"), b.path("clusters.yaml"))
	if err != nil {
		return series{}, err
	}
	err = d.createMany(ctx, "busy", b.sizes.made)
	memory, rssErr := rss(d.PID())
	return flat(memory, "driver"), errors.Join(err, rssErr, d.Stop())
}

// size is that of a file.
func size(path, name string) (series, error) {
	info, err := os.Stat(path)
	if err != nil {
		return series{}, err
	}
	return flat(float64(info.Size()), name), nil
}

// flat is a series of one value.
func flat(value float64, name string) series {
	return series{contender: contender{name: name, unit: chart.Bytes}, rounds: [][]float64{{value}}}
}
