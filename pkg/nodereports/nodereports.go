// SPDX-License-Identifier: Apache-2.0

// Package nodereports has the controller told, by the Gluster volumes themselves, what a node sees of the pods on it and no
// one else can: what stays dead in them after their client has ended, which of their containers were restarted for that,
// and which of their files the bricks disagree on.
package nodereports

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/health"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

const (
	// interval is how often it is looked whether there is something new to report.
	interval = 15 * time.Second
	// repeated is when a report is made again that says the same: a server may have forgotten it, or that it was taken
	// back, and a controller takes it for a lost node's after a day (Store.SettleReports).
	repeated = time.Hour
	// timeout bounds one report. A Gluster volume that does not answer gets the next one later.
	timeout = 10 * time.Second
)

// reasonRestarted is of a container that was ended, as its class says onClientDeath: restart.
const reasonRestarted = "ContainerRestarted"

// Reporter is that of one node.
type Reporter struct {
	node   string
	root   statedir.Root
	host   *client.Host
	split  func(v gluster.Volume) []string // files that the bricks disagree on
	report func(ctx context.Context, v gluster.Volume, options []string, r store.Report) error

	reported map[gluster.Volume]reported  // what is on the Gluster volume; no entry where that is not known
	next     map[gluster.Volume]time.Time // not before that, after an error
}

type reported struct {
	pods []store.Pod
	at   time.Time
}

// New is the reporter of a node, by the clients of its host. split says which files of a Gluster volume the bricks disagree on; report
// puts a report on it, by the client with these options.
func New(
	node string, host *client.Host, split func(gluster.Volume) []string,
	report func(ctx context.Context, v gluster.Volume, options []string, r store.Report) error,
) *Reporter {
	return &Reporter{
		node: node, root: host.StateDir(), host: host, split: split, report: report,
		reported: map[gluster.Volume]reported{}, next: map[gluster.Volume]time.Time{},
	}
}

// Run reports until ctx is done.
func (r *Reporter) Run(ctx context.Context) {
	panics.Every(ctx, interval, "report what pods have of dead clients", func(ctx context.Context) {
		if err := r.round(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "The controller is not told what this node's pods have of dead clients; trying again")
		}
	})
}

// round reports what is new, or an hour old, by a client that runs: where none does, no pod has the Gluster volume, or the next one is
// just being started.
func (r *Reporter) round(ctx context.Context) error {
	now, err := podsOf(r.root)
	if err == nil {
		now, err = r.addSplit(now)
	}
	if err != nil {
		return err
	}
	var errs []error
	done := map[gluster.Volume]bool{}
	for _, c := range r.host.Running() {
		v := c.Volume()
		if gluster.BindsNothing(c.Info().Options) || done[v] || !r.isDue(v, now[v]) {
			continue
		}
		done[v] = true
		ctx, cancel := context.WithTimeout(ctx, timeout)
		err := r.report(ctx, v, c.Info().Options, store.Report{Node: r.node, Pods: now[v]})
		cancel()
		if err != nil {
			r.next[v] = time.Now().Add(time.Minute)
			errs = append(errs, fmt.Errorf("%s: %w", v, err))
			continue
		}
		r.reported[v] = reported{now[v], time.Now()}
	}
	return errors.Join(errs...)
}

func (r *Reporter) isDue(v gluster.Volume, pods []store.Pod) bool {
	before, known := r.reported[v]
	isNew := !known || !slices.Equal(before.pods, pods) || time.Since(before.at) >= repeated
	return isNew && !time.Now().Before(r.next[v])
}

// podsOf is what is known of pods in a state directory, by Gluster volume: what stays dead in their containers, which of
// their processes have files of dead clients, and which containers were restarted for that.
func podsOf(root statedir.Root) (map[gluster.Volume][]store.Pod, error) {
	stale, errStale := root.Stale()
	holders, errHolders := root.Holders()
	restarts, errRestarts := root.Restarts()
	err := errors.Join(errStale, errHolders, errRestarts)
	if err != nil || len(stale)+len(holders)+len(restarts) == 0 {
		return nil, err // mostly: then nothing else is read
	}
	published, err := root.Published()
	if err != nil {
		return nil, err
	}
	all := map[gluster.Volume][]store.Pod{}
	add := func(v gluster.Volume, uid, code, message string) {
		is := slices.IndexFunc(published, func(p statedir.Published) bool { return p.Pod == uid && p.Name != "" })
		same := slices.IndexFunc(all[v], func(p store.Pod) bool { return p.UID == uid && p.Code == code })
		switch {
		case is < 0: // of a process that is in no pod, of one that is over, or whose name kubelet has not said
		case same < 0:
			all[v] = append(all[v], store.Pod{Namespace: published[is].Namespace, Name: published[is].Name, UID: uid, Code: code, Message: message})
		case !strings.Contains(all[v][same].Message, message):
			all[v][same].Message += "; " + message
		}
	}
	for _, s := range restarts {
		add(s.Volume, s.Pod, reasonRestarted, s.Describe())
	}
	for _, s := range stale {
		add(s.Volume, s.Pod, health.ContainerMountDead, s.Describe())
	}
	for _, h := range holders {
		if h.IsBroken() {
			add(h.Volume, h.Pod, health.DeadFiles, h.Describe())
		}
	}
	return all, nil
}
