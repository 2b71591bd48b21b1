// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

const (
	gv0    = "gv0"
	bricks = 3 // of each replica set, one on each server: with quorum by majority, one brick or server may be away
	// pingTimeout is how long a server may be silent before clients go on without it.
	pingTimeout = 10 * time.Second
)

// volumeOptions are those of gv0 that are not GlusterFS's own.
var volumeOptions = map[string]string{
	"network.ping-timeout": fmt.Sprint(pingTimeout.Seconds()),
	// With its own, 1, a file that is written all the time is marked as missing something on an absent brick only when its
	// client has paused, or sees the brick again. One that reads at that very moment may take the returned brick for
	// whole, and see a file for a second as it was when the brick went: about one in 500 files that are written and read
	// all the time, at each return (docs/operations.md).
	"cluster.post-op-delay-secs": "0",
}

// clientOptions are of two kinds, so that there are two clients, and the writers of one must
// not notice what happens to the other.
var clientOptions = [][]string{nil, {"lru-limit=32768"}}

// world is all that runs.
type world struct {
	Options

	cluster *testcluster.Cluster
	driver  *driver
	volumes []*volume
	writers []*writerProcess
	kubelet *kubelet
	random  *rand.Rand
	deaths  []death
	cgroups int

	mu     sync.Mutex
	events []*event
}

// bricks is how many all replica sets have. Those of the first come first.
func (w *world) bricks() int { return bricks * w.Subvolumes }

// volume is a volume of the driver, published once.
type volume struct {
	*csi.Volume

	capability *csi.VolumeCapability
	target     string
}

// death is the end of a client, which came between two moments.
type death struct {
	device   uint64
	from, to moment
}

// newWorld starts everything; when it returns, all writers write. The caller must call close.
func newWorld(ctx context.Context, cluster *testcluster.Cluster, options Options) (_ *world, err error) {
	w := &world{Options: options, cluster: cluster, random: rand.New(rand.NewPCG(options.Seed, 0))}
	for key, value := range volumeOptions {
		if err := cluster.SetOption(gv0, key, value); err != nil {
			return nil, err
		}
	}
	if w.driver, err = startDriver(ctx, cluster, filepath.Join(cluster.Dir(), "driver"), "--trash-retention", retention.String()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(ctx))
		}
	}()
	if err := w.publishAll(ctx); err != nil {
		return nil, err
	}
	for id := range options.Volumes * writersPerVolume {
		c, err := startWriter(id, w.volumes[id%options.Volumes].target, cluster.Dir(), options.Pause)
		if err != nil {
			return nil, err
		}
		w.writers = append(w.writers, c)
	}
	w.kubelet = startKubelet(ctx, w)
	return w, w.settle(ctx, now())
}

func (w *world) publishAll(ctx context.Context) error {
	w.volumes = make([]*volume, w.Volumes)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i := range w.volumes {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, settleTimeout)
			defer cancel()
			capability := testdriver.Capability(clientOptions[i%len(clientOptions)]...)
			made, err := w.driver.controllers.Create(ctx, fmt.Sprintf("chaos-%02d", i), func(r *csi.CreateVolumeRequest) {
				r.VolumeCapabilities, r.Parameters = []*csi.VolumeCapability{capability}, nil
			})
			if err != nil {
				return err
			}
			v := &volume{made, capability, filepath.Join(w.driver.pods(), fmt.Sprintf("pvc-%02d", i))}
			w.volumes[i] = v
			return w.publish(ctx, v, v.target)
		})
	}
	return group.Wait()
}

func (w *world) publish(ctx context.Context, v *volume, target string) error {
	return w.driver.nodes.Publish(ctx, v.Volume, target, func(r *csi.NodePublishVolumeRequest) { r.VolumeCapability = v.capability })
}

func (w *world) unpublish(ctx context.Context, v *volume, target string) error {
	return w.driver.nodes.Unpublish(ctx, v.Volume, target)
}

// unpublishAll takes every volume away, as kubelet and the provisioner do after the pods.
func (w *world) unpublishAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	var errs []error
	for _, v := range w.volumes {
		err := w.unpublish(ctx, v, v.target)
		if err == nil {
			err = w.driver.controllers.Delete(ctx, v.Volume)
		}
		if _, statErr := os.Lstat(v.target); err == nil && !errors.Is(statErr, os.ErrNotExist) {
			err = fmt.Errorf("the target %s is still there: %w", v.target, statErr)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// close ends what still runs; the cluster ends the rest.
func (w *world) close(ctx context.Context) error {
	var err error
	if w.kubelet != nil {
		err = w.kubelet.end()
	}
	for _, c := range w.writers {
		err = errors.Join(err, c.end())
	}
	return errors.Join(err, w.driver.stop(ctx))
}
