// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const (
	fairClients = "a client process for each volume, mounted with its directory as root, as the in-tree plugin had them; the plugin itself, a part of kubelet, is not even counted"
	fairOne     = "the same node with one volume"
)

// memory measures what a node's processes need with few and with many volumes published, one
// file written in each: PSS, which counts what processes share once.
func memory(ctx context.Context, b *bench) (report.Result, error) {
	numbers := b.sizes.published
	volumes := make([]*csi.Volume, slices.Max(numbers))
	for i := range volumes {
		var err error
		if volumes[i], err = b.driver.Create(ctx, fmt.Sprintf("memory-%d", i)); err != nil {
			return report.Result{}, err
		}
	}
	driven, mounted := newSeries("driver and its one client", numbers, b.sizes.rounds), newSeries("one client per volume", numbers, b.sizes.rounds)
	for round := range b.sizes.rounds {
		// Not side by side: pages that all clients share would count less for each.
		if err := b.publishAll(ctx, volumes, round, driven); err != nil {
			return report.Result{}, err
		}
		if err := b.mountAll(ctx, volumes, round, mounted); err != nil {
			return report.Result{}, err
		}
	}
	last := len(numbers) - 1
	many := chart.Number(float64(numbers[last])) + " volumes"
	return report.Result{
		Figures: []report.Figure{
			driven[last].under(mounted[last], "memory with "+many, report.Aim{AtLeast: 20}, fairClients),
			driven[last].by(named(driven[0], "with 1 volume"), "memory with "+many, report.Aim{AtMost: 1.2}, fairOne),
		},
		Curves: []report.Curve{{Title: "Memory of all of the driver's processes on a node", Name: "memory", Things: "volumes published on the node", What: "PSS", Unit: chart.Bytes,
			Lines: []chart.Line{curve("the driver", true, numbers, driven), curve("a client per volume", false, numbers, mounted)}}},
	}, nil
}

func newSeries(name string, numbers []int, rounds int) []series {
	all := make([]series, len(numbers))
	for i := range all {
		all[i] = series{contender: contender{name: name, unit: chart.Bytes}, rounds: make([][]float64, rounds)}
	}
	return all
}

func named(s series, name string) series {
	s.name = name
	return s
}

// publishAll publishes the volumes one after the other, reads the memory at each of the
// numbers, and unpublishes them.
func (b *bench) publishAll(ctx context.Context, volumes []*csi.Volume, round int, all []series) (err error) {
	targets := map[string]*csi.Volume{}
	defer func() {
		for target, v := range targets {
			err = errors.Join(err, b.driver.Unpublish(ctx, v, target))
		}
	}()
	return b.reading(volumes, round, all, func(v *csi.Volume) (string, error) {
		target := b.target()
		targets[target] = v
		return target, b.driver.Publish(ctx, v, target)
	}, b.driver.memory)
}

// mountAll is publishAll for a client of its own for each volume.
func (b *bench) mountAll(ctx context.Context, volumes []*csi.Volume, round int, all []series) (err error) {
	var mounts []*testcluster.RawMount
	defer func() {
		for _, m := range mounts {
			err = errors.Join(err, m.Close())
		}
	}()
	return b.reading(volumes, round, all, func(v *csi.Volume) (string, error) {
		m, err := b.cluster.Mount(ctx, gv0, "--subdir-mount="+filepath.Join("/", v.GetVolumeContext()["path"]))
		if err != nil {
			return "", err
		}
		mounts = append(mounts, m)
		return m.Path, nil
	}, func() (float64, error) {
		total := 0.0
		for _, m := range mounts {
			one, err := pss(m.PID())
			if err != nil {
				return 0, err
			}
			total += one
		}
		return total, nil
	})
}

// reading shows the volumes one after the other, writes a file into each, and reads the
// memory at each of the numbers.
func (b *bench) reading(volumes []*csi.Volume, round int, all []series, show func(*csi.Volume) (string, error), memory func() (float64, error)) error {
	for i, v := range volumes {
		dir, err := show(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "a-file"), []byte("a small file\n"), 0o600)
		}
		if err != nil {
			return err
		}
		at := slices.Index(b.sizes.published, i+1)
		if at < 0 {
			continue
		}
		value, err := memory()
		if err != nil {
			return err
		}
		all[at].rounds[round] = append(all[at].rounds[round], value)
	}
	return nil
}

// memory is the PSS of the driver and all its clients, which name its state directory.
func (d *driver) memory() (float64, error) {
	total, err := pss(d.PID())
	if err != nil {
		return 0, err
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, path := range commands {
		command, _ := os.ReadFile(path) // it may have ended
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if bytes.Contains(command, []byte(d.State()+"/clients/")) {
			client, err := pss(pid)
			if err != nil {
				return 0, err
			}
			total += client
		}
	}
	return total, nil
}

// pss is the proportional set size of a process in bytes: what several processes share counts
// once among them.
func pss(pid int) (float64, error) { return smaps(pid, "Pss:") }

// rss is the resident set size of a process in bytes, as if it were alone.
func rss(pid int) (float64, error) { return smaps(pid, "Rss:") }

// smaps is one line of proc_pid_smaps(5), in bytes.
func smaps(pid int, key string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == key {
			kib, err := strconv.ParseFloat(string(fields[1]), 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no %s", pid, key)
}
