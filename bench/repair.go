// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
)

const (
	bindsPerPod = 5
	// repairAim is what a repair may take beside the start of the client that it needs.
	repairAim = 50 * time.Millisecond
	// settleTime is how long a driver that has just been started may look at what is there before its client is killed.
	settleTime = 300 * time.Millisecond
	// repairTimeout bounds everything here, which takes a fraction of a second.
	repairTimeout = 30 * time.Second

	fairStart  = "the same client started by hand until it answers, which no repair can do without; the aim is 50 ms more"
	fairRepair = "the whole time, with the new client's start as the driver's log tells it"
)

// repairSeries is what was measured with one number of pods: the kernel's mount namespaces.
type repairSeries struct{ whole, own, start series }

// repair measures how long it takes from the kill of a client until every container that had
// its volumes can use them again.
func repair(ctx context.Context, b *bench) (result report.Result, err error) {
	targets := make([]string, bindsPerPod)
	dir := ""
	for i := range targets {
		v, err := b.driver.Create(ctx, fmt.Sprintf("repair-%d", i))
		if err != nil {
			return result, err
		}
		targets[i], dir = b.target(), v.GetVolumeContext()["path"]
		if err := b.driver.Publish(ctx, v, targets[i]); err != nil {
			return result, err
		}
		defer func() { err = errors.Join(err, b.driver.Unpublish(ctx, v, targets[i])) }()
	}
	whole := chart.Line{Name: "until the last bind answers", Driver: true}
	start := chart.Line{Name: "a client's start by hand"}
	var last repairSeries
	for _, count := range b.sizes.pods {
		if last, err = b.repairOf(ctx, targets, dir, count); err != nil {
			return result, err
		}
		whole.Points = append(whole.Points, last.whole.point(count))
		start.Points = append(start.Points, last.start.point(count))
	}
	count := b.sizes.pods[len(b.sizes.pods)-1]
	what := fmt.Sprintf("kill -9 of a client until the last of %d binds in %d mount namespaces answers", count*bindsPerPod, count)
	most := 1 + repairAim.Seconds()/last.start.measure().Median
	many, err := b.repairMany(ctx)
	if err != nil {
		return result, err
	}
	return report.Result{
		Figures: append([]report.Figure{
			last.whole.by(last.start, what, report.Aim{AtMost: most}, fairStart),
			last.own.by(last.whole, "… of that, all but the new client's start", report.Aim{}, fairRepair),
		}, many...),
		Curves: []report.Curve{{Title: "Repair after kill -9 of a client", Name: "repair", Things: fmt.Sprintf("mount namespaces, %d binds in each", bindsPerPod),
			What: "time since the kill", Unit: chart.Seconds, Lines: []chart.Line{whole, start}}},
	}, nil
}

// repairOf measures with so many pods. dir is the directory of one of the volumes.
func (b *bench) repairOf(ctx context.Context, targets []string, dir string, count int) (measured repairSeries, err error) {
	var pods []*pod
	defer func() {
		for _, p := range pods {
			err = errors.Join(err, p.end())
		}
	}()
	for i := range count {
		p, err := startPod(podSpec{Root: b.path(fmt.Sprintf("pod-%d", i)), Targets: targets})
		if err != nil {
			return measured, err
		}
		pods = append(pods, p)
	}
	measured.own = series{contender: contender{name: "all but its client's start", unit: chart.Seconds}, rounds: make([][]float64, b.sizes.rounds)}
	all, err := interleave(ctx, b.sizes.rounds,
		contender{"the repair", chart.Seconds, b.sizes.slowCalls, func(ctx context.Context, n int) (float64, error) {
			whole, start, err := b.killAndRepair(ctx, pods)
			round := n / b.sizes.slowCalls
			measured.own.rounds[round] = append(measured.own.rounds[round], (whole - start).Seconds())
			return whole.Seconds(), err
		}},
		contender{"a client's start by hand", chart.Seconds, b.sizes.slowCalls, func(ctx context.Context, n int) (float64, error) {
			return b.startByHand(ctx, b.path(fmt.Sprintf("by-hand-%d-%d", count, n)), dir)
		}},
	)
	if err != nil {
		return measured, err
	}
	measured.whole, measured.start = all[0], all[1]
	return measured, nil
}

// killAndRepair kills the driver's client and returns how long it took from then until the
// last bind of the pods answered, and how much of it was the start of the new client.
func (b *bench) killAndRepair(ctx context.Context, pods []*pod) (whole, start time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	// A driver that has seen no death yet: clients that die again and again are started with more and more delay.
	if err := b.driver.Restart(ctx); err != nil {
		return 0, 0, err
	}
	client, err := b.driver.client()
	if err != nil {
		return 0, 0, err
	}
	repairsBefore, err := b.driver.clientStarts()
	if err != nil {
		return 0, 0, err
	}
	for _, p := range pods {
		if err := p.watch(); err != nil {
			return 0, 0, err
		}
	}
	settled := time.NewTimer(settleTime)
	defer settled.Stop()
	select {
	case <-settled.C:
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	killed := monotonic()
	if err := unix.Kill(client, unix.SIGKILL); err != nil {
		return 0, 0, err
	}
	for _, p := range pods {
		back, err := p.back(ctx)
		if err != nil {
			return 0, 0, err
		}
		whole = max(whole, time.Duration(slices.Max(back)-killed))
	}
	// The log's line comes after the last bind of the host.
	err = until(ctx, func() error {
		starts, err := b.driver.clientStarts()
		if err == nil && len(starts) == len(repairsBefore) {
			err = errors.New("the driver's log tells of no repair")
		}
		if err == nil {
			start = starts[len(starts)-1]
		}
		return err
	})
	return whole, start, err
}

// client is the process ID of the driver's client of gv0 without options.
func (d *driver) client() (int, error) {
	mountpoint, err := d.ClientMount(gv0)
	if err != nil {
		return 0, err
	}
	return processOf(mountpoint)
}

var repaired = regexp.MustCompile(`Repaired the mounts of dead clients.* clientsReadyAfter="?([^" ]+)`)

// clientStarts are how long the new client took in each repair, as the log tells.
func (d *driver) clientStarts() ([]time.Duration, error) {
	log, err := os.ReadFile(d.Log())
	if err != nil {
		return nil, err
	}
	var starts []time.Duration
	for _, match := range repaired.FindAllSubmatch(log, -1) {
		start, err := time.ParseDuration(string(match[1]))
		if err != nil {
			return nil, err
		}
		starts = append(starts, start)
	}
	return starts, nil
}

// startByHand runs a client as the driver does, until a directory of the volume answers, and
// ends it.
func (b *bench) startByHand(ctx context.Context, mountpoint, dir string) (took float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	if err := os.Mkdir(mountpoint, 0o700); err != nil {
		return 0, err
	}
	args := []string{"--no-daemon", "--process-name", "fuse", "--log-file=" + mountpoint + ".log"}
	for _, server := range b.cluster.Servers() {
		args = append(args, "--volfile-server="+server)
	}
	client := exec.CommandContext(ctx, "glusterfs", append(args, "--volfile-id=/"+gv0, mountpoint)...)
	client.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	began := time.Now()
	if err := client.Start(); err != nil {
		return 0, err
	}
	err = until(ctx, func() error { return ask(filepath.Join(mountpoint, dir)) })
	took = time.Since(began).Seconds()
	err = errors.Join(err, unix.Unmount(mountpoint, unix.MNT_DETACH))
	_ = client.Wait() // it ends by a signal to itself
	return took, errors.Join(err, os.Remove(mountpoint))
}
