// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
)

const (
	fairFloor = "a gRPC server with the same imports that answers Probe and nothing else: the least that a driver in Go can be"
	fairIdle  = "the same process before the first call, other than Probe"
)

// footprint measures the driver's process without its clients, and its binary. Memory is RSS:
// another driver runs beside this one, and would take half of the pages of the binary on
// itself in PSS.
func footprint(ctx context.Context, b *bench) (report.Result, error) {
	floor := b.path("floor")
	if err := build(ctx, floor, "./bench/floor"); err != nil {
		return report.Result{}, err
	}
	idle, err := interleave(ctx, b.sizes.rounds,
		contender{"driver, idle", chart.Bytes, b.sizes.slowCalls, func(ctx context.Context, _ int) (float64, error) {
			d, err := startDriver(ctx, b.binary, b.path("idle"), b.path("clusters.yaml"))
			return d.footprint(err)
		}},
		contender{"a bare gRPC server", chart.Bytes, b.sizes.slowCalls, func(ctx context.Context, _ int) (float64, error) {
			d := &driver{binary: floor, dir: b.path("bare")}
			return d.footprint(d.start(ctx, d.socket()))
		}},
	)
	if err != nil {
		return report.Result{}, err
	}
	after, err := b.busy(ctx)
	if err != nil {
		return report.Result{}, err
	}
	sizes, err := binaries(b.binary, floor)
	if err != nil {
		return report.Result{}, err
	}
	made := "memory (RSS) after " + chart.Number(float64(b.sizes.made)) + " volumes were made"
	return report.Result{Figures: []report.Figure{
		idle[0].by(idle[1], "memory (RSS), idle", report.Aim{AtMost: 1.5}, fairFloor),
		after.by(named(flat(idle[0].measure().Median, "driver, idle"), "driver, idle"), made, report.Aim{}, fairIdle),
		sizes[0].by(sizes[1], "size of the binary", report.Aim{}, fairFloor),
	}}, nil
}

// footprint reads a process's memory and ends it.
func (d *driver) footprint(startErr error) (float64, error) {
	if startErr != nil {
		return 0, startErr
	}
	memory, err := rss(d.process.Process.Pid)
	return memory, errors.Join(err, d.stop())
}

// busy is a driver's memory after it has made many volumes.
func (b *bench) busy(ctx context.Context) (series, error) {
	d, err := startDriver(ctx, b.binary, b.path("busy"), b.path("clusters.yaml"))
	if err != nil {
		return series{}, err
	}
	err = d.createMany(ctx, "busy", b.sizes.made)
	memory, rssErr := rss(d.process.Process.Pid)
	return flat(memory, "driver"), errors.Join(err, rssErr, d.stop())
}

// binaries are the sizes of files.
func binaries(driver, floor string) ([2]series, error) {
	one, err := os.Stat(driver)
	if err != nil {
		return [2]series{}, err
	}
	two, err := os.Stat(floor)
	if err != nil {
		return [2]series{}, err
	}
	return [2]series{flat(float64(one.Size()), "driver"), flat(float64(two.Size()), "a bare gRPC server")}, nil
}

// flat is a series of one value.
func flat(value float64, name string) series {
	return series{contender: contender{name: name, unit: chart.Bytes}, rounds: [][]float64{{value}}}
}
