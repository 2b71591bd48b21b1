// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/starts"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// healthInterval is that of the log and the metrics, and the pace at which bricks are asked for a sign of life. A
// brick that is killed is seen by the next one, as its connection ends with it. One that falls silent is asked by the
// next one and called silent by the one after that at the latest (silentAfter is less). An RPC does not wait for it:
// it looks for itself.
const healthInterval = 10 * time.Second

// gauges are the metrics of the Gluster volumes in use.
type gauges struct{ brickConnected, volumeHealth, split *prometheus.GaugeVec }

func newGauges(registry prometheus.Registerer) gauges {
	metrics := promauto.With(registry)
	return gauges{
		brickConnected: metrics.NewGaugeVec(prometheus.GaugeOpts{
			Name: "glusterfs_csi_brick_connected",
			Help: "1 if this host's clients of the Gluster volume are connected to the brick and it answers, else 0.",
		}, []string{"cluster", "volume", "host", "brick"}),
		volumeHealth: metrics.NewGaugeVec(prometheus.GaugeOpts{
			Name: "glusterfs_csi_volume_health",
			Help: "How well this host's clients can use the Gluster volume: 0 healthy, 1 degraded, 2 inaccessible.",
		}, []string{"cluster", "volume"}),
		split: metrics.NewGaugeVec(prometheus.GaugeOpts{
			Name: "glusterfs_csi_split_brain_files",
			Help: "Files that the bricks disagree on, so that they cannot be read, as far as somebody on this host has tried to.",
		}, []string{"cluster", "volume"}),
	}
}

// Watch looks at all Gluster volumes with clients until ctx is done, sets the metrics, and logs what changes.
func (o *Observer) Watch(ctx context.Context) {
	w := healthWatch{gauges: o.gauges, changed: o.changed, splitFiles: o.Split, known: map[gluster.Volume]Report{}, unreadable: map[string]string{}}
	defer func() { w.update(ctx, nil) }()
	look := func(ctx context.Context) {
		w.update(ctx, o.look(ctx))
		o.splits.look(ctx, o.running())
		w.logUnreadable(ctx, o.host.Running())
	}
	panics.EveryFromNow(ctx, healthInterval, "look at the health", look)
}

func (o *Observer) look(ctx context.Context) []Report {
	ctx, cancel := context.WithTimeout(ctx, probe.AnswerLimit)
	defer cancel()
	return o.healthOf(ctx, o.usedVolumes())
}

// healthWatch is what was said last.
type healthWatch struct {
	gauges

	changed    func(before, now Report) // nil: nobody is told
	splitFiles func(gluster.Volume) []string
	known      map[gluster.Volume]Report
	unreadable map[string]string // mount point → why
}

// update makes the metrics those of the volumes in use, and logs each that is not as it was.
func (w *healthWatch) update(ctx context.Context, now []Report) {
	unused := maps.Clone(w.known)
	for _, health := range now {
		v := health.Volume
		before, isKnown := w.known[v]
		if !isKnown {
			before.State = Unknown
		}
		delete(unused, v)
		if health.State == Unknown {
			continue // what was said last is said on
		}
		w.known[v] = health
		w.volumeHealth.WithLabelValues(v.Cluster, v.Name).Set(float64(health.State))
		w.split.WithLabelValues(v.Cluster, v.Name).Set(float64(len(w.splitFiles(v))))
		for _, b := range before.Bricks {
			if !slices.ContainsFunc(health.Bricks, func(n Brick) bool { return n.Host == b.Host && n.Path == b.Path }) {
				w.brickConnected.DeleteLabelValues(v.Cluster, v.Name, b.Host, b.Path)
			}
		}
		for _, b := range health.Bricks {
			value := 0.0
			if b.Connected {
				value = 1
			}
			w.brickConnected.WithLabelValues(v.Cluster, v.Name, b.Host, b.Path).Set(value)
		}
		if summary(before) != summary(health) {
			logHealth(klog.FromContext(ctx), before.State, health)
			if w.changed != nil {
				w.changed(before, health)
			}
		}
	}
	for v, before := range unused {
		delete(w.known, v)
		w.volumeHealth.DeleteLabelValues(v.Cluster, v.Name)
		w.split.DeleteLabelValues(v.Cluster, v.Name)
		for _, b := range before.Bricks {
			w.brickConnected.DeleteLabelValues(v.Cluster, v.Name, b.Host, b.Path)
		}
	}
}

// summary is equal where there is nothing new to say: the ages in messages are no news.
func summary(health Report) string {
	var b strings.Builder
	for _, reason := range health.Reasons {
		fmt.Fprintln(&b, reason.State, reason.Code)
	}
	for _, brick := range health.Bricks {
		if !brick.Connected {
			fmt.Fprintln(&b, brick.Host, brick.Path)
		}
	}
	return b.String()
}

func logHealth(logger klog.Logger, before State, health Report) {
	logger = logger.WithValues("volume", health.Volume, "state", health.State, "before", before)
	if len(health.Reasons) == 0 {
		logger.Info("The Gluster volume is healthy again")
		return
	}
	for _, reason := range health.Reasons {
		logger.Error(nil, "The Gluster volume's health has changed", "reason", reason.Code, "message", reason.Message)
	}
}

// logUnreadable says once for each client why its own state cannot be read, if so.
func (w *healthWatch) logUnreadable(ctx context.Context, clients []*client.Client) {
	now := map[string]string{}
	for _, c := range clients {
		if v := c.Observed(); v.ReadErr != nil && v.Reading == nil {
			now[c.Mountpoint()] = v.ReadErr.Error()
			if w.unreadable[c.Mountpoint()] != now[c.Mountpoint()] {
				klog.FromContext(ctx).Info("Cannot read a client's own state, so its bricks are unknown", "volume",
					c.Volume(), "mountpoint", c.Mountpoint(), "reason", v.ReadErr)
			}
		}
	}
	w.unreadable = now
}

// deadClient is a dead client, of which mounts are still to be seen.
type deadClient struct {
	client.Dead

	mounts int // in this mount namespace, without its own and those that another mount covers
}

// deadMounts lists the dead clients, by device.
func (o *Observer) deadMounts() []deadClient {
	entries, err := mount.List()
	if err != nil {
		return nil // what is mounted is not known at this moment
	}
	type place struct {
		parent int
		target string
	}
	covered := map[place]bool{}
	for _, e := range entries {
		covered[place{e.Parent, e.Target}] = true
	}
	var found []deadClient
	for _, d := range o.host.Dead(entries) {
		mounts := 0
		for _, e := range entries {
			if e.Device == d.Device && e.FSType == starts.FSType &&
				!o.host.Owns(e.Target) && !covered[place{e.ID, e.Target}] {
				mounts++
			}
		}
		if mounts > 0 {
			found = append(found, deadClient{d, mounts})
		}
	}
	return found
}
