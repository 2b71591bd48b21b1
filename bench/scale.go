// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// page is how many volumes ListVolumes is asked for.
const page = 100

const (
	fairSelf = "the same call with 10 volumes, on a Gluster volume of the same servers and disks that stands beside it, so that both are measured in turn"
	fairList = "what nobody can do without: the names of all records by one directory read, and the content of those on the page, through a mount of the same volume"
)

// crowd is a Gluster volume with a number of volumes on it, and a driver for it alone.
type crowd struct {
	size   int
	driver *driver
	raw    *testcluster.RawMount
}

// scale measures CreateVolume and ListVolumes with few and with many volumes present.
func scale(ctx context.Context, b *bench) (result report.Result, err error) {
	var crowds []crowd
	defer func() {
		for _, c := range crowds {
			err = errors.Join(err, c.driver.Stop(), c.raw.Close())
		}
	}()
	var creates, lists []contender
	for _, size := range b.sizes.volumes {
		c, err := b.crowd(ctx, size)
		if err != nil {
			return result, err
		}
		crowds = append(crowds, c)
		with := chart.Number(float64(size)) + " volumes"
		creates = append(creates, contender{with, chart.Seconds, b.sizes.calls, c.create})
		lists = append(lists, contender{"ListVolumes", chart.Seconds, b.sizes.calls, timed(c.list)},
			contender{"one directory read + the page's records", chart.Seconds, b.sizes.calls, timed(c.read)})
	}
	created, err := interleave(ctx, b.sizes.rounds, creates...)
	if err != nil {
		return result, err
	}
	listed, err := interleave(ctx, b.sizes.rounds, lists...)
	if err != nil {
		return result, err
	}
	for i, c := range crowds {
		with := chart.Number(float64(c.size)) + " volumes present"
		if i > 0 {
			result.Figures = append(result.Figures, created[i].by(created[0], "CreateVolume, "+with, report.Aim{AtMost: 1.2}, fairSelf))
		}
		what := fmt.Sprintf("ListVolumes, %s, a page of %d", with, min(page, c.size))
		result.Figures = append(result.Figures, listed[2*i].by(listed[2*i+1], what, b.aim(report.Aim{AtMost: 1}, report.Aim{AtMost: 1.2}), fairList))
	}
	result.Curves = []report.Curve{
		{Title: "CreateVolume with many volumes present", Name: "scale-create", Things: "volumes present", What: "time for one call, median", Unit: chart.Seconds,
			Lines: []chart.Line{curve("CreateVolume", true, b.sizes.volumes, created)}},
		{Title: fmt.Sprintf("A page of ListVolumes (%d volumes at most)", page), Name: "scale-list", Things: "volumes present", What: "time for one call, median", Unit: chart.Seconds,
			Lines: []chart.Line{
				curve("ListVolumes", true, b.sizes.volumes, every(listed, 0)),
				curve("directory + records", false, b.sizes.volumes, every(listed, 1)),
			}},
	}
	return result, nil
}

// every returns those of two alternating kinds of series.
func every(all []series, kind int) []series {
	var some []series
	for i := kind; i < len(all); i += 2 {
		some = append(some, all[i])
	}
	return some
}

func curve(name string, driver bool, sizes []int, all []series) chart.Line {
	line := chart.Line{Name: name, Driver: driver}
	for i, s := range all {
		line.Points = append(line.Points, s.point(sizes[i]))
	}
	return line
}

// crowd makes a Gluster volume with so many volumes on it.
func (b *bench) crowd(ctx context.Context, size int) (c crowd, err error) {
	name := fmt.Sprintf("gv%d", size)
	if !slices.Contains(b.cluster.Volumes(), name) {
		if err := b.cluster.CreateVolume(name, testcluster.VolumeOptions{}); err != nil {
			return c, err
		}
	}
	clusters := b.path(name + ".yaml")
	text := fmt.Sprintf("clusters:\n  - name: %s\n    servers: [%s]\n    volumes: [%s]\n", testcluster.Name, strings.Join(b.cluster.Servers(), ", "), name)
	if err := os.WriteFile(clusters, []byte(text), 0o600); err != nil {
		return c, err
	}
	c.size = size
	if c.driver, err = startDriver(ctx, b.binary, b.path(name), clusters); err != nil {
		return c, err
	}
	if err = c.driver.createMany(ctx, "present", size); err == nil {
		c.raw, err = b.cluster.Mount(ctx, name)
	}
	if err != nil {
		err = errors.Join(err, c.driver.Stop())
	}
	return c, err
}

// create makes a volume; that it is deleted again, so that the number stays, is not counted.
func (c crowd) create(ctx context.Context, n int) (float64, error) {
	var v *csi.Volume
	took, err := timed(func(ctx context.Context, n int) (err error) {
		v, err = c.driver.Create(ctx, fmt.Sprintf("one-more-%d", n))
		return err
	})(ctx, n)
	if err == nil {
		err = c.driver.Delete(ctx, v)
	}
	return took, err
}

func (c crowd) list(ctx context.Context, _ int) error {
	response, err := c.driver.Controller.ListVolumes(ctx, &csi.ListVolumesRequest{MaxEntries: page})
	if err == nil && len(response.GetEntries()) != min(page, c.size) {
		err = fmt.Errorf("%d volumes on the page", len(response.GetEntries()))
	}
	return err
}

func (c crowd) read(context.Context, int) error {
	shards, err := os.ReadDir(filepath.Join(c.raw.Path, ".glusterfs-csi/volumes"))
	left := page
	for _, shard := range shards {
		if err != nil || left == 0 {
			break
		}
		dir := filepath.Join(c.raw.Path, ".glusterfs-csi/volumes", shard.Name())
		var entries []os.DirEntry
		entries, err = os.ReadDir(dir)
		for _, e := range entries[:min(left, len(entries))] {
			if _, err := os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
			left--
		}
	}
	return err
}
