// SPDX-License-Identifier: Apache-2.0

// Package driver serves CSI: it validates requests, calls the packages below, and
// gives their errors gRPC codes. It opens no file on a Gluster volume. It also runs the
// mounter, the process that owns a host's clients.
package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/debug"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/events"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/health"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/holders"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/reconnect"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/repair"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/monitor"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mounter"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/nodereports"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/startuptaint"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

// Driver is one process's CSI services.
type Driver struct {
	options  Options
	clusters *gluster.ClustersFile
	host     *client.Host
	health   *health.Observer
	repairer *repair.Repairer // nil where a mounter has the clients, as are replacer and holders
	replacer *reconnect.Replacer
	holders  *holders.Watcher
	permits  *permits.Pool
	volumes  *manager.Manager
	metrics  *metrics
	events   *events.Recorder      // nil: none are written
	taint    *startuptaint.Remover // nil: it stays on
}

// New returns a driver that is ready to Run. The clusters file is watched until ctx is
// done. It fails only for options that cannot work and for a state directory that
// cannot be used; GlusterFS is not asked.
func New(ctx context.Context, options Options) (*Driver, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	m := newMetrics(options)
	clusters := gluster.WatchClusters(ctx, options.ClustersFile, m.registry)
	host, err := newHost(options, clusters)
	if err != nil {
		return nil, err
	}
	m.observeClients(host, options)
	pool := newPermits(options, clusters)
	if options.Mode != Mounter {
		m.countOperations(pool)
	}
	known := settings.New(clusters)
	d := &Driver{
		options: options, clusters: clusters, host: host, health: health.New(host, clusters, known, m.registry),
		permits: pool, volumes: manager.New(clusters, known, host, pool, m.registry, ownOptions(options.Mode)...), metrics: m,
	}
	d.events, d.taint = d.newEvents(ctx), d.newTaintRemover(ctx)
	if options.Mode.controller() {
		d.volumes.SetKubernetes(d.newIdentity(ctx))
		d.volumes.SetRetention(options.TrashRetention)
	}
	if options.QuotaHeadroom > 0 {
		d.volumes.SetHeadroom(options.QuotaHeadroom)
	}
	if options.MaxCopies > 0 {
		d.volumes.SetMaxCopies(options.MaxCopies, options.MaxCopiesVolume)
	}
	if options.Mounter == "" {
		d.repairer, d.replacer = repair.New(host, m.registry), reconnect.New(host, m.registry)
		d.holders = holders.New(host.StateDir(), cmp.Or(options.RestartAfter, holders.DefaultRestartAfter), m.registry)
	}
	return d, nil
}

// ownOptions are those of the client by which a process makes, copies and deletes volumes: one of its own where it does
// nothing else, and the pods' where it is the node's, too, which is for a single machine.
func ownOptions(mode Mode) []string {
	if mode == Controller {
		return gluster.ControllerOptions()
	}
	return nil
}

// newPermits returns those of all that waits on the Gluster volumes of the clusters file.
func newPermits(options Options, clusters *gluster.ClustersFile) *permits.Pool {
	return permits.New(options.MaxOperations, func() []gluster.Volume {
		loaded, err := clusters.Current()
		if err != nil {
			return nil
		}
		return loaded.Volumes()
	})
}

// newHost returns the clients of this host, which are this process's own or a mounter's.
func newHost(options Options, clusters *gluster.ClustersFile) (*client.Host, error) {
	if options.Mounter == "" {
		return client.NewHost(options.StateDir, clusters)
	}
	_, socket, err := parseEndpoint(options.Mounter)
	if err != nil {
		return nil, err
	}
	return client.NewRemoteHost(options.StateDir, clusters, mounter.NewClient(socket, options.Version, options.NodeID))
}

// Run serves until ctx is done, and then until the RPCs under way have ended (each has
// a deadline). Clients and mounts outlive it. It fails while another process looks after the
// clients of the state directory; an administrator's command is none.
func (d *Driver) Run(ctx context.Context) error {
	defer d.host.Close()
	if d.options.Mounter == "" {
		release, err := d.host.Keep()
		if err != nil {
			return err
		}
		defer release()
	}
	if d.options.Mode == Mounter {
		return d.runMounter(ctx)
	}
	listener, err := listen(ctx, d.options.Endpoint)
	if err != nil {
		return err
	}
	questions, err := askCSI(d.options.Endpoint)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return d.serve(ctx, listener, d.newMonitor(questions))
}

// lookAfterClients runs what ends and repairs this host's clients, and what lets root look at this process, until ctx is
// done.
func (d *Driver) lookAfterClients(ctx context.Context, group *sync.WaitGroup) {
	group.Go(func() { d.host.Run(ctx) })
	group.Go(func() { debug.Serve(ctx, debug.Socket(d.options.StateDir, string(d.options.Mode)), d.metrics.registry) })
	if d.repairer != nil {
		group.Go(func() { d.repairer.Run(ctx) })
		group.Go(func() { d.replacer.Run(ctx) })
		group.Go(func() { d.holders.Run(ctx) })
	}
}

// serve serves CSI and, unless it is nil, the monitor.
func (d *Driver) serve(ctx context.Context, listener net.Listener, m *monitor.Monitor) error {
	logger := klog.FromContext(ctx)
	server := newServer(logger, d.metrics.retry, d.metrics.rpc.UnaryServerInterceptor())
	csi.RegisterIdentityServer(server, &identity{driver: d})
	defer d.volumes.Close()
	var background sync.WaitGroup
	defer background.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d.lookAfterClients(ctx, &background)
	background.Go(func() { d.health.Watch(ctx) }) // not in the mounter: one for each host
	if m != nil {
		background.Go(func() { m.Serve(ctx) })
	}
	if d.options.Mode.controller() {
		csi.RegisterControllerServer(server, &controller{volumes: d.volumes, askClaim: d.newAskClaim(ctx)})
		background.Go(func() { d.volumes.Maintain(ctx) })
		background.Go(func() { d.events.Run(ctx) })
		background.Go(func() { d.taint.Run(ctx) })
	}
	if d.options.Mode.node() {
		csi.RegisterNodeServer(server, newNode(d))
		background.Go(func() { nodereports.New(d.options.NodeID, d.host, d.health.Split, d.volumes.Report).Run(ctx) })
	}
	if r, ok := d.options.registration(); ok {
		background.Go(func() { r.Serve(ctx, d.metrics.registry) })
	}
	background.Go(func() {
		<-ctx.Done()
		server.GracefulStop()
	})
	logger.Info("Serving CSI", "driver", d.options.Name, "version", d.options.Version, "mode", d.options.Mode, "endpoint", d.options.Endpoint)
	if err := server.Serve(listener); err != nil {
		return fmt.Errorf("serve on %s: %w", d.options.Endpoint, err)
	}
	return nil
}
