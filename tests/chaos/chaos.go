// SPDX-License-Identifier: Apache-2.0

// Package chaos lets writers in containers append to volumes while everything below them is
// killed, stopped and brought back at random, and then finds every record again.
//
// The driver is the real binary, as three processes: controller, node plugin and mounter. The
// writers are processes in mount namespaces of their own with private propagation, as a
// container has, two to a volume. They note outside the volume what was acknowledged to them
// and what failed, so afterwards it can be said of each error whose fault it was.
//
//	make chaos                      ten minutes
//	go test ./tests/chaos           a minute, with each kind of event at least once
package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

// Options say how much is to happen.
type Options struct {
	Time    time.Duration // until the last event begins, if there was one of each kind by then
	Seed    uint64        // of all that is random
	Volumes int
	// Subvolumes is how many replica sets gv0 has: with more than one it is distributed.
	Subvolumes int
	Pause      time.Duration // of a writer between two records
	Wire       *wire.Wire    // to the cluster's servers
	Log        func(format string, arguments ...any)
}

// Run plays on a cluster with a volume gv0 of replica 3, which it does not mend after an error. Its error
// says what is not as it should be: a record that was acknowledged and is lost, an error in a
// writer while its own client lived, a writer that does not write any more, something that
// did not come back, something that is left.
func Run(ctx context.Context, cluster *testcluster.Cluster, options Options) (err error) {
	w, err := newWorld(ctx, cluster, options)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	before, err := w.usages(ctx)
	if err != nil {
		return err
	}
	w.Log("seed %d: %d writers on %d volumes; mounter: %v; node: %v", options.Seed, len(w.writers), options.Volumes, before["mounter"], before["node"])

	err = w.play(ctx)
	w.Log("%d events, %d records acknowledged; %v\n\n%s", len(w.events), w.acknowledged(), w.kubelet, w.table())
	if err != nil {
		return fmt.Errorf("seed %d: %w", options.Seed, err)
	}
	if err := w.backTo(ctx, before); err != nil {
		return err
	}
	return w.finish(ctx)
}

// finish ends everything in the order in which it ends in a cluster, and looks at what is left.
func (w *world) finish(ctx context.Context) error {
	errs := []error{w.kubelet.end()}
	w.kubelet = nil
	for _, c := range w.writers {
		errs = append(errs, c.end())
	}
	errs = append(errs, w.verify(ctx), w.unpublishAll(ctx), w.driver.stop(ctx), w.nothingLeft(ctx), w.driver.races())
	w.writers = nil
	return errors.Join(errs...)
}
