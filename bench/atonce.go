// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// again is how many deletions are repeated at once.
const again = 300

const (
	fairOneAtATime = "the same call, alone, in turn with those at once; more than as fast as there are processors is what waiting for each other less gives"
	fairCalls      = "the calls themselves: as many forces as calls is what each would do for itself; a force writes a brick's log to its disk, and is an fsync at every brick"
	fairTrash      = "the same calls on a Gluster volume of the same servers with nothing else in the trash"
)

const bricks = 2 // of gv0

// calls measures what many calls at once cost each other.
func calls(ctx context.Context, b *bench) (report.Result, error) {
	var result report.Result
	for _, part := range []func(context.Context, *bench) ([]report.Figure, error){creationsAtOnce, forces, deletionsAgain} {
		figures, err := part(ctx, b)
		if err != nil {
			return result, err
		}
		result.Figures = append(result.Figures, figures...)
	}
	return result, nil
}

func creationsAtOnce(ctx context.Context, b *bench) ([]report.Figure, error) {
	if _, err := b.driver.Create(ctx, "atonce-warm"); err != nil {
		return nil, err
	}
	driven := func(ctx context.Context, name string) error {
		_, err := b.driver.Create(ctx, name)
		return err
	}
	together, alone := meter{}, meter{}
	at := func(m *meter, width int, prefix string) func(context.Context, int) (float64, error) {
		many := parallel(width, prefix, driven)
		return func(ctx context.Context, n int) (float64, error) {
			took, err := m.timed(func(ctx context.Context, _ int) error { _, err := many(ctx, n); return err })(ctx, n)
			return took / float64(width), err
		}
	}
	all, err := interleave(ctx, b.sizes.rounds,
		contender{fmt.Sprintf("CreateVolume, %d at once", atOnce), chart.Seconds, b.sizes.slowCalls, at(&together, atOnce, "together")},
		contender{"CreateVolume, one at a time", chart.Seconds, b.sizes.calls, at(&alone, 1, "alone")},
	)
	if err != nil {
		return nil, err
	}
	all[0].processors = together.busy
	what := fmt.Sprintf("CreateVolume, %d at once, time for each", atOnce)
	return []report.Figure{all[0].under(all[1], what, report.Aim{AtLeast: 8}, fairOneAtATime)}, nil
}

// forces counts how often the bricks' logs are forced to disk.
func forces(ctx context.Context, b *bench) (figures []report.Figure, err error) {
	counter, err := b.driver.counter()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, counter.Close()) }()
	for _, c := range []struct {
		width int
		most  float64 // forces
	}{{1, 1}, {16, 4}, {100, 10}} {
		create := contender{fmt.Sprintf("CreateVolume, %d at once", c.width), chart.Requests, 1, func(ctx context.Context, n int) (float64, error) {
			counts, err := counter.Count(ctx, func() error {
				_, err := parallel(c.width, "forced", func(ctx context.Context, name string) error {
					_, err := b.driver.Create(ctx, name)
					return err
				})(ctx, n)
				return err
			})
			return float64(counts["FSYNC"]) / bricks, err
		}}
		calls := contender{"calls", chart.Requests, 1, func(context.Context, int) (float64, error) { return float64(c.width), nil }}
		all, err := interleave(ctx, b.sizes.rounds, create, calls)
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("forces of %d CreateVolume at once", c.width)
		figures = append(figures, all[0].by(all[1], what, report.Aim{AtMost: c.most / float64(c.width)}, fairCalls))
	}
	return figures, nil
}

// deletionsAgain measures what has been deleted already, with more and more in the trash.
func deletionsAgain(ctx context.Context, b *bench) (figures []report.Figure, err error) {
	var contenders []contender
	for _, size := range b.sizes.trashed {
		d, err := b.deleted(ctx, size)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, d.driver.Stop()) }()
		name := chart.Number(float64(size)) + " more in the trash"
		contenders = append(contenders, contender{name, chart.Seconds, 1, timed(d.deleteAgain)}) // it is many calls
	}
	all, err := interleave(ctx, b.sizes.rounds, contenders...)
	if err != nil {
		return nil, err
	}
	for _, s := range all[1:] {
		what := fmt.Sprintf("DeleteVolume again, %d at once, %s", again, s.name)
		figures = append(figures, s.by(all[0], what, report.Aim{AtMost: 1.2}, fairTrash))
	}
	return figures, nil
}

// deleted is a Gluster volume whose volumes are in the trash, and a driver for it alone.
type deleted struct {
	driver  *driver
	volumes []*csi.Volume // that are deleted again
}

// deleted makes a Gluster volume with so many deleted volumes besides those that are deleted again.
func (b *bench) deleted(ctx context.Context, others int) (d deleted, err error) {
	name := fmt.Sprintf("trash%d", others)
	if err := b.cluster.CreateVolume(name, testcluster.VolumeOptions{}); err != nil {
		return d, err
	}
	clusters := b.path(name + ".yaml")
	text := fmt.Sprintf("clusters:\n  - name: %s\n    servers: [%s]\n    volumes: [%s]\n", testcluster.Name, strings.Join(b.cluster.Servers(), ", "), name)
	if err := os.WriteFile(clusters, []byte(text), 0o600); err != nil {
		return d, err
	}
	if d.driver, err = startDriver(ctx, b.binary, b.path(name), clusters); err != nil {
		return d, err
	}
	d.volumes = make([]*csi.Volume, again)
	group, making := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range others + again {
		group.Go(func() error {
			v, err := d.driver.Create(making, fmt.Sprintf("deleted-%05d", i))
			if i < again {
				d.volumes[i] = v
			}
			if err == nil {
				err = d.driver.Delete(making, v)
			}
			return err
		})
	}
	if err = group.Wait(); err != nil {
		err = errors.Join(err, d.driver.Stop())
	}
	return d, err
}

func (d deleted) deleteAgain(ctx context.Context, _ int) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, v := range d.volumes {
		group.Go(func() error { return d.driver.Delete(ctx, v) })
	}
	return group.Wait()
}
