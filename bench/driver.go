// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// driver is the real binary and a connection to it, as kubelet and the sidecars have.
type driver struct{ *testdriver.Driver }

// startDriver runs the binary with all it writes below dir, and returns when it serves.
func startDriver(ctx context.Context, binary, dir, clusters string) (*driver, error) {
	d, err := testdriver.Start(ctx, binary, dir, clusters)
	return &driver{d}, err
}

// rawPath is where a volume's data is on a mount of the Gluster volume's root.
func rawPath(m *testcluster.RawMount, v *csi.Volume) string {
	return filepath.Join(m.Path, v.GetVolumeContext()["path"])
}

// createMany makes count volumes, 16 at once.
func (d *driver) createMany(ctx context.Context, prefix string, count int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range count {
		group.Go(func() error {
			_, err := d.Create(ctx, fmt.Sprintf("%s-%05d", prefix, i))
			return err
		})
	}
	return group.Wait()
}
