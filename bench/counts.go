// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/bench/roundtrips"
)

// countRequests counts what each call sends to the bricks, by the counters of the driver's
// own client.
func countRequests(ctx context.Context, b *bench) (result report.Result, err error) {
	calls := b.sizes.countsCalls
	if _, err := b.driver.Create(ctx, "counts-warm"); err != nil {
		return result, err
	}
	ours, err := b.driver.counter()
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	theirs, err := roundtrips.Open(b.raw.Path, gv0)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()

	volumes, targets := make([]*csi.Volume, calls), make([]string, calls)
	for _, o := range []struct {
		name    string
		counter *roundtrips.Counter
		call    func(i int) error
	}{
		{"CreateVolume", ours, func(i int) (err error) {
			volumes[i], err = b.driver.Create(ctx, fmt.Sprintf("counts-%d", i))
			return err
		}},
		{"mkdir + chown + chmod", theirs, func(i int) error { return b.least(fmt.Sprintf("counts-least-%d", i)) }},
		{"NodePublishVolume", ours, func(i int) error {
			targets[i] = b.target()
			return b.driver.Publish(ctx, volumes[i], targets[i])
		}},
		{"NodeUnpublishVolume", ours, func(i int) error { return b.driver.Unpublish(ctx, volumes[i], targets[i]) }},
		{"ListVolumes, a page of 10", ours, func(int) error {
			_, err := b.driver.Controller.ListVolumes(ctx, &csi.ListVolumesRequest{MaxEntries: 10})
			return err
		}},
		{"DeleteVolume", ours, func(i int) error { return b.driver.Delete(ctx, volumes[i]) }},
		{"DeleteVolume, of what is deleted", ours, func(i int) error { return b.driver.Delete(ctx, volumes[i]) }},
	} {
		counts, err := o.counter.Count(ctx, func() error {
			for i := range calls {
				if err := o.call(i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return result, fmt.Errorf("%s: %w", o.name, err)
		}
		result.Counts = append(result.Counts, report.Count{
			Operation: o.name, PerCall: float64(counts.Total()) / float64(calls), Kinds: counts, Calls: calls, Driver: o.counter == ours,
		})
	}
	return result, nil
}

// counter counts the requests of the driver's client of gv0 without options.
func (d *driver) counter() (*roundtrips.Counter, error) {
	mountpoint, err := d.ClientMount(gv0)
	if err != nil {
		return nil, err
	}
	return roundtrips.Open(mountpoint, gv0)
}
