// SPDX-License-Identifier: Apache-2.0

// Package reconnect replaces clients that run by others: those that do not find their bricks again, by itself, and one
// that an administrator names (Renew).
//
// A client that a brick has refused (auth.allow, server.allow-insecure) stays disconnected when the option is put right, and one
// whose server was unreachable while a brick got another port may do so, too (GlusterFS 10.3; issues 1463, 3678, 4152 and 4330 of
// GlusterFS): a client that is started then has all bricks at once. So where a client has been without bricks for a while, another
// one is started beside it, and takes its place if it has every brick that the first has, and one more. Nothing happens as long as
// bricks are only slow, and where the trial has no more of them it ends, and leaves nothing (TestABrickThatIsDownOrSlowReplacesNothing).
//
// What was mounted from the old client is moved by the repair of dead ones. Files that are open stay open at the old client.
package reconnect

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

const (
	// interval is how often the clients' bricks are looked at. It asks no server.
	interval = 10 * time.Second
	// trialLimit bounds a trial, its start included: it takes a second where there is a brick to find.
	trialLimit = 20 * time.Second
)

// Replacer looks after the bricks of a host's clients.
type Replacer struct {
	host     *client.Host
	interval time.Duration
	paces    paces
	trials   *prometheus.CounterVec
	outages  map[*client.Client]*outage // of Run's goroutine only
}

// New returns a Replacer of this host's clients. The metrics are registered with registry, unless that is nil.
func New(host *client.Host, registry prometheus.Registerer) *Replacer {
	return &Replacer{
		host: host, interval: interval, paces: usualPaces, outages: map[*client.Client]*outage{},
		trials: promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
			Name: "glusterfs_csi_client_trials_total",
			Help: "Clients that were started beside one that had been without bricks for a while, by what came of it: replaced, as the new one had " +
				"more bricks; no better; or failed to start.",
		}, []string{"cluster", "volume", "result"}),
	}
}

// Run looks at the clients' bricks until ctx is done. At most one trial of a Gluster volume is under way. At most one Replacer of a
// state directory may Run: see client.Host.Keep.
func (r *Replacer) Run(ctx context.Context) {
	panics.Every(ctx, r.interval, "look for clients without bricks", r.round)
}

// round tries what is due, of each Gluster volume one client.
func (r *Replacer) round(ctx context.Context) {
	due := map[gluster.Volume]*client.Client{}
	running := map[*client.Client]*outage{}
	now := time.Now()
	for _, c := range r.host.Running() {
		if c.BindsNothing() {
			continue // some are to lack bricks, and whoever needs one of them starts another
		}
		o := r.outages[c]
		if o == nil {
			o = &outage{}
		}
		running[c] = o
		without, all, isKnown := bricksOf(c.Observed(), now)
		if isKnown && o.look(len(without), all, now, r.paces) && (due[c.Volume()] == nil || o.all) {
			due[c.Volume()] = c
		}
	}
	r.outages = running
	var trials panics.Group
	for _, c := range due {
		trials.Go(func() { r.try(ctx, c, running[c]) })
	}
	trials.Wait()
}

// bricksOf returns which of its bricks a client is not connected to, and how many it has.
func bricksOf(o probe.Observed, now time.Time) (without []string, all int, isKnown bool) {
	switch {
	case o.Reading == nil && errors.Is(o.ProbeErr, unix.ENOTCONN):
		return []string{"all bricks"}, 1, true // it was without them when this process found it, and cannot tell more
	case o.Reading == nil || now.Sub(o.Reading.At) > 2*client.LookInterval: // it may be stopped
		return nil, 0, false
	}
	_, without = bricks(o.Reading)
	return without, len(o.Reading.Graph.Bricks), true
}

// try starts a client beside c.
func (r *Replacer) try(ctx context.Context, c *client.Client, o *outage) {
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	info := c.Info()
	without, _, _ := bricksOf(c.Observed(), time.Now())
	logger := klog.FromContext(ctx).WithValues("volume", info.Volume, "options", info.Options, "pid", info.PID,
		"without", strings.Join(without, ", "), "for", time.Since(o.since).Round(time.Second))
	by, err := r.host.Replace(ctx, c, isBetter)
	result := "replaced"
	switch {
	case err != nil:
		result = "failed"
		logger.Info("A client is without bricks, and another one does not start", "reason", err)
	case by == nil:
		result = "no better"
		logger.Info("A client is without bricks, and so is another one")
	default:
		logger.Info("Replaced a client that did not find its bricks again", "by", by.Info().PID)
	}
	if by == nil {
		o.tried(time.Now(), r.paces)
	}
	r.trials.WithLabelValues(info.Volume.Cluster, info.Volume.Name, result).Inc()
}
