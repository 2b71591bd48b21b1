// SPDX-License-Identifier: Apache-2.0

// Package repair brings back the clients of a host that have died: it starts another one in the place of each, and
// replaces the dead one's mounts by the new one's, in place, in every mount namespace of the host. Nothing is
// created on the Gluster volume, and no process is ended.
package repair

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	// lateWait is how long a dead client's own mount is kept after nothing else has shown its device: see isSettled.
	lateWait = repairInterval
	// replaceWait is how long a repair waits for the client that is to take a dead one's place, before it goes on
	// with the others'. The start goes on by itself, and begins the next repair when it has succeeded.
	replaceWait = 5 * time.Second
	// openWait is how long it waits for that client to open what a mount showed.
	openWait = 2 * time.Second
)

// Repairer repairs what the dead clients of a host had mounted. At most one Repairer of a state directory may Run: see
// client.Host.Keep.
type Repairer struct {
	host    *client.Host
	metrics metrics

	// Of Run's goroutine only.
	mounts mountRepairer
	retry  map[string]*backoff // by slot
	pace   pace
	unseen map[statedir.Start]time.Time // since when nothing else shows a kept mount's device
	told   *[]statedir.Stale            // what was said last of mounts that stay dead; nil if nothing was yet
	// memories are of the clients whose mounts are kept.
	memories     map[statedir.Start]*memory
	unremembered string // why some are not, as it was said last
}

// mountRepairer is mount.Repairer.
type mountRepairer interface {
	Repair(ctx context.Context, dead map[*mount.Held]mount.Open) (mount.Report, error)
}

// New returns a Repairer for the clients of this host. The metrics are registered with registry, unless that is nil.
func New(host *client.Host, registry prometheus.Registerer) *Repairer {
	return &Repairer{
		host: host, metrics: newMetrics(registry), mounts: &mount.Repairer{}, retry: map[string]*backoff{},
		unseen: map[statedir.Start]time.Time{}, pace: newPace(), memories: map[statedir.Start]*memory{},
	}
}

// Run brings back the clients that died, and repairs what they had mounted: at once, at the start after what died
// before, and again, at the distances of pace, as long as anything shows a dead device. It returns when ctx is done.
func (r *Repairer) Run(ctx context.Context) {
	mountsChanged, err := mount.Changes(ctx)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Dead mounts that containers have kept are found late", "within", maxInterval)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var said leftLog
	for {
		select {
		case <-ctx.Done():
			return
		case <-mountsChanged:
			r.pace.changed()
			timer.Reset(time.Until(r.pace.due))
			continue
		case <-r.host.Changes():
			r.pace.died()
		case <-timer.C:
		}
		caught := panics.Catch(ctx, "repair of what dead clients had mounted", func() { r.round(ctx, &said) })
		if caught != nil {
			r.pace.ended(false, true)
		}
		timer.Reset(time.Until(r.pace.due))
	}
}

func (r *Repairer) round(ctx context.Context, said *leftLog) {
	r.host.Adopt(ctx) // which keeps the mounts of the dead
	report, err := r.repair(ctx)
	if ctx.Err() != nil {
		return
	}
	said.update(ctx, report, err)
	r.pace.ended(report.Repaired() > 0, err != nil || r.unremembered != "" || len(report.Stale) > len(lasting(report)))
	for _, b := range r.retry {
		if !b.isDue() {
			r.pace.notAfter(b.next)
		}
	}
	for _, since := range r.unseen {
		if settled := since.Add(lateWait); settled.After(time.Now()) { // else an error is in its way
			r.pace.notAfter(settled)
		}
	}
}

// deadMount is the kept mount of one dead client, held.
type deadMount struct {
	client.KeptMount

	held *mount.Held
}

// holdDead holds the kept mounts of all dead clients. The caller closes them.
func (r *Repairer) holdDead() ([]deadMount, error) {
	kept, err := r.host.KeptMounts()
	if len(kept) == 0 {
		return nil, err
	}
	mounted := map[string]bool{}
	entries, listErr := mount.List()
	if listErr != nil {
		return nil, errors.Join(err, listErr)
	}
	for _, e := range entries {
		mounted[e.Target] = true
	}
	errs := []error{err}
	var dead []deadMount
	for _, k := range kept {
		at := k.Start.Spare() // which an older driver's client has not
		if !mounted[at] {
			at = k.Start.Mountpoint()
		}
		if !mounted[at] { // since a reboot, or somebody detached it
			errs = append(errs, r.discard(k))
			continue
		}
		held, err := mount.Hold(at, filepath.Base(k.Start.Mountpoint()), filepath.Base(k.Start.Spare()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		dead = append(dead, deadMount{k, held})
	}
	return dead, errors.Join(errs...)
}

// repair is one round: every mount of a dead device, in every mount namespace of this host, becomes one of the client
// that has taken its place. A device that nothing has shown for lateWait is
// forgotten.
func (r *Repairer) repair(ctx context.Context) (mount.Report, error) {
	dead, err := r.holdDead()
	defer func() {
		for _, d := range dead {
			_ = d.held.Close()
		}
	}()
	if len(dead) == 0 {
		if err == nil {
			err = r.tellStale(mount.Report{}, nil)
		}
		return mount.Report{}, err
	}
	began := time.Now()
	replacements, replacementsErr := r.openReplacements(ctx, dead)
	defer func() {
		for _, t := range replacements {
			t.close()
		}
	}()
	ready := time.Since(began)
	opens, volumes := map[*mount.Held]mount.Open{}, map[mount.Device]gluster.Volume{}
	for _, d := range dead {
		volumes[d.held.Device()] = d.Volume
		opens[d.held] = nil
		if t := replacements[d.Slot]; t != nil {
			opens[d.held] = t.open
		}
	}
	report, repairErr := r.mounts.Repair(ctx, opens)
	err = errors.Join(err, replacementsErr, repairErr)
	for _, ns := range report.Unread { // whose mounts no kept mount waits for
		err = errors.Join(err, fmt.Errorf("mount namespace %d of process %d: %w", ns.Namespace, ns.PID, ns.Err))
	}
	r.remember(ctx, dead, report) // before one is discarded
	for _, d := range dead {
		if repairErr == nil && r.isSettled(d, report) {
			err = errors.Join(err, r.discard(d.KeptMount))
		}
	}
	if repairErr == nil { // else some may not have been looked at
		err = errors.Join(err, r.tellStale(report, volumes))
	}
	r.metrics.repaired(report, began)
	if report.Repaired() > 0 {
		klog.FromContext(ctx).Info("Repaired the mounts of dead clients", "beneath", report.Beneath,
			"onTop", report.OnTop, "detachedFirst", report.DetachedFirst, "stale", len(report.Stale),
			"namespaces", report.Namespaces, "clientsReadyAfter", ready.Round(time.Millisecond),
			"took", time.Since(began).Round(time.Millisecond))
	}
	return report, err
}

// isSettled says whether a kept mount is needed no more: for lateWait no round has found anything else with its device,
// nor repaired anything, and what is remembered of it is on disk. A runtime may have cloned a dead mount before it was
// repaired, and attach the clone, which no mountinfo shows until then, a moment later.
func (r *Repairer) isSettled(d deadMount, report mount.Report) bool {
	if report.Left[d.held.Device()] > 0 || r.isUnwritten(d) {
		delete(r.unseen, d.Start)
		return false
	}
	since, known := r.unseen[d.Start]
	if !known || report.Repaired() > 0 {
		r.unseen[d.Start] = time.Now()
		return false
	}
	return time.Since(since) >= lateWait
}

func (r *Repairer) discard(k client.KeptMount) error {
	delete(r.unseen, k.Start)
	delete(r.memories, k.Start)
	return r.host.Discard(k)
}

// openReplacements returns what is mounted by each slot's running client, started where there is none. A slot whose
// client does not come in time is left out and named in the error.
func (r *Repairer) openReplacements(ctx context.Context, dead []deadMount) (map[string]*replacement, error) {
	ctx, cancel := context.WithTimeout(ctx, replaceWait)
	defer cancel()
	var all panics.Group
	var mu sync.Mutex
	replacements := map[string]*replacement{}
	var errs []error
	begun := map[string]bool{}
	for _, d := range dead {
		if begun[d.Slot] || gluster.BindsNothing(d.Options) {
			continue
		}
		begun[d.Slot] = true
		b := r.backoffOf(d.KeptMount)
		if !b.isDue() && !r.runs(d.Slot) {
			continue
		}
		all.Go(func() {
			t, err := r.openReplacement(ctx, d.KeptMount)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				replacements[d.Slot] = t
				return
			}
			errs = append(errs, err)
			if !errors.Is(err, client.ErrStarting) { // else it is not known yet whether it fails
				b.failed()
			}
		})
	}
	all.Wait()
	return replacements, errors.Join(errs...)
}

func (r *Repairer) backoffOf(k client.KeptMount) *backoff {
	b := r.retry[k.Slot]
	if b == nil {
		b = &backoff{}
		r.retry[k.Slot] = b
	}
	b.note(k.Deaths)
	return b
}

// runs says whether a client of the slot runs.
func (r *Repairer) runs(slot string) bool {
	return slices.ContainsFunc(r.host.Running(), func(c *client.Client) bool { return c.Slot() == slot })
}

func (r *Repairer) openReplacement(ctx context.Context, k client.KeptMount) (*replacement, error) {
	c, err := r.host.Ensure(ctx, k.Volume, k.Options)
	if err != nil {
		return nil, err
	}
	root, err := safepath.OpenRoot(c.Mountpoint())
	if err != nil {
		return nil, err
	}
	return newReplacement(root), nil
}
