// SPDX-License-Identifier: Apache-2.0

// Package repair brings back the clients of a host that have died: it starts another one in the place of each, and
// replaces the dead one's mounts by the new one's, in place, in every mount namespace of the host. Nothing is
// created on the Gluster volume, and no process is ended.
package repair

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	// repairInterval is how often dead mounts are looked for again: a container that was starting may have kept one.
	repairInterval = 10 * time.Second
	// replaceWait is how long a repair waits for the client that is to take a dead one's place, before it goes on
	// with the others'. The start goes on by itself, and begins the next repair when it has succeeded.
	replaceWait = 5 * time.Second
	// openWait is how long it waits for that client to open what a mount showed.
	openWait = 2 * time.Second
)

// Repairer repairs what the dead clients of a host had mounted. At most one Repairer of a state directory should Run.
type Repairer struct {
	host    *client.Host
	repairs *prometheus.CounterVec
	dead    *prometheus.GaugeVec

	// Of Run's goroutine only.
	mounts mount.Repairer
	retry  map[string]*backoff // by slot
	told   *[]statedir.Stale   // what was said last of mounts that stay dead; nil if nothing was yet
}

// New returns a Repairer for the clients of this host. The metrics are registered with registry, unless that is nil.
func New(host *client.Host, registry prometheus.Registerer) *Repairer {
	repairs := promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "glusterfs_csi_mounts_repaired_total",
		Help: "Mounts of dead clients that were replaced in place, in all mount namespaces of the host: " +
			"beneath in one step; or, where the kernel is older, on top, or detached first.",
	}, []string{"way"})
	return &Repairer{host: host, repairs: repairs, dead: newDeadGauge(registry), retry: map[string]*backoff{}}
}

// Run brings back the clients that died, and repairs what they had mounted: at once, at the start after what died
// before, and again as long as anything shows a dead device. It returns when ctx is done.
func (r *Repairer) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var said leftLog
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.host.Changes():
		case <-timer.C:
		}
		r.host.Adopt(ctx) // which keeps the mounts of the dead
		report, err := r.repair(ctx)
		if ctx.Err() == nil {
			said.update(ctx, report, err)
		}
		timer.Reset(r.untilRetry())
	}
}

// leftLog is what was said last of what is left to repair.
type leftLog struct {
	err, lasting string
	unseen       bool
}

// update says what is new.
func (l *leftLog) update(ctx context.Context, report mount.Report, err error) {
	logger := klog.FromContext(ctx)
	before := *l
	*l = leftLog{lasting: describe(lasting(report)), unseen: report.Forbidden > 0}
	switch {
	case err != nil:
		if l.err = err.Error(); l.err != before.err {
			logger.Error(err, "Mounts of a dead client are left; they are repaired when it is back")
		}
	case len(report.Left) > 0: // a start is not due yet
		l.err = before.err
	}
	if l.lasting != "" && l.lasting != before.lasting {
		logger.Error(nil, "Mounts of dead clients stay dead; pods that need them have to be restarted", "mounts",
			l.lasting)
	}
	if l.unseen && !before.unseen {
		logger.Error(nil,
			"Some processes' mounts cannot be repaired, since they cannot be seen: "+
				"is the mounter privileged, with hostPID?", "processes", report.Forbidden)
	}
}

// lasting are the mounts that will not be repaired: not those that wait for a client, or for its answer.
func lasting(report mount.Report) []mount.Stale {
	return slices.DeleteFunc(slices.Clone(report.Stale), func(s mount.Stale) bool {
		return errors.Is(s.Err, mount.ErrNothingYet) || errors.Is(s.Err, unix.ETIMEDOUT)
	})
}

// describe is the same for the same mounts in another order.
func describe(stale []mount.Stale) string {
	var mounts []string
	for _, s := range stale {
		of := fmt.Sprintf("process %d", s.PID)
		if pod := podOfProcess(s.PID); pod != "" {
			of = "pod " + pod + ", " + of
		}
		mounts = append(mounts, fmt.Sprintf("%s at %s of %s: %v", s.Root, s.Target, of, s.Err))
	}
	slices.Sort(mounts)
	return strings.Join(mounts, "; ")
}

// untilRetry is how long nothing is to be done, unless a client dies or comes.
func (r *Repairer) untilRetry() time.Duration {
	wait := repairInterval
	for _, b := range r.retry {
		if due := time.Until(b.next); due > 0 {
			wait = min(wait, due)
		}
	}
	return wait
}

// deadMount is the kept mount of one dead client, held.
type deadMount struct {
	client.KeptMount

	held *mount.Held
}

// holdDead holds the kept mounts of all dead clients. The caller closes them.
func (r *Repairer) holdDead() ([]deadMount, error) {
	kept, err := r.host.KeptMounts()
	errs := []error{err}
	var dead []deadMount
	for _, k := range kept {
		at, err := mount.At(k.Mountpoint)
		if err == nil && len(at) == 0 || errors.Is(err, os.ErrNotExist) { // since a reboot, or somebody detached it
			errs = append(errs, r.host.Discard(k))
			continue
		}
		var held *mount.Held
		if err == nil {
			held, err = mount.Hold(k.Mountpoint)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		dead = append(dead, deadMount{k, held})
	}
	return dead, errors.Join(errs...)
}

// repair is one round: every mount of a dead device, in every mount namespace of this host, becomes one of the client
// that has taken its place. A device that nothing shows any more is forgotten.
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
	for _, d := range dead {
		if repairErr == nil && report.Left[d.held.Device()] == 0 {
			err = errors.Join(err, r.host.Discard(d.KeptMount))
		}
	}
	if repairErr == nil { // else some may not have been looked at
		err = errors.Join(err, r.tellStale(report, volumes))
	}
	r.repairs.WithLabelValues("beneath").Add(float64(report.Beneath))
	r.repairs.WithLabelValues("on top").Add(float64(report.OnTop))
	r.repairs.WithLabelValues("detached first").Add(float64(report.DetachedFirst))
	if report.Repaired() > 0 {
		klog.FromContext(ctx).Info("Repaired the mounts of dead clients", "beneath", report.Beneath,
			"onTop", report.OnTop, "detachedFirst", report.DetachedFirst, "stale", len(report.Stale),
			"namespaces", report.Namespaces, "clientsReadyAfter", ready.Round(time.Millisecond),
			"took", time.Since(began).Round(time.Millisecond))
	}
	return report, err
}

// openReplacements returns what is mounted by each slot's running client, started where there is none. A slot whose
// client does not come in time is left out and named in the error.
func (r *Repairer) openReplacements(ctx context.Context, dead []deadMount) (map[string]*replacement, error) {
	ctx, cancel := context.WithTimeout(ctx, replaceWait)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	replacements := map[string]*replacement{}
	var errs []error
	begun := map[string]bool{}
	for _, d := range dead {
		if begun[d.Slot] {
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
