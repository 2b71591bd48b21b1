// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/monitor"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mounter"
)

// detachTimeout is how long a mounter that ends waits for the node plugin to let go of clients that no pod has any more: when the
// driver is removed, the two end at the same time.
const detachTimeout = 10 * time.Second

// runMounter is Run for the mounter. It ends no client that is in use when it ends: they go on, in a container's place as in a bare process, and are
// found by the next mounter (see client.Host.KeepApart). Idle ones are detached, so that none is left when the driver is removed.
func (d *Driver) runMounter(ctx context.Context) (err error) {
	_, socket, err := parseEndpoint(d.options.Endpoint)
	if err != nil {
		return err
	}
	listener, err := mounter.Listen(ctx, socket)
	if err != nil {
		return err
	}
	if err := d.host.KeepApart(ctx, d.options.ClientMemory); err != nil {
		klog.FromContext(ctx).Info("Clients end with this container, or are not quite on their own; the next one repairs what they had mounted", "why", err)
	}
	m := d.newMonitor(d.askMounter(socket))
	var background sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		background.Wait()
		ctx := context.WithoutCancel(ctx)
		idle, cancel := context.WithTimeout(ctx, detachTimeout) // a node plugin that goes on uses it up
		defer cancel()
		err = errors.Join(err, d.host.DetachIdle(idle))
		d.host.LeaveApart(ctx)
	}()
	d.lookAfterClients(ctx, &background)
	if m != nil {
		background.Go(func() { m.Serve(ctx) })
	}
	klog.FromContext(ctx).Info("Serving the node plugin", "version", d.options.Version, "endpoint", d.options.Endpoint)
	return mounter.Serve(ctx, listener, d.host, d.options.Version)
}

// askMounter asks a mounter through its own socket.
func (d *Driver) askMounter(socket string) monitor.Questions {
	client := mounter.NewClient(socket, d.options.Version, "")
	alive := func(ctx context.Context) error {
		_, err := client.List(ctx)
		return err
	}
	return monitor.Questions{Alive: alive, Ready: func(ctx context.Context) error {
		if _, err := d.clusters.Current(); err != nil {
			return err
		}
		return alive(ctx)
	}}
}
