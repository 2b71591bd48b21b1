// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	// repairInterval is how often dead mounts are looked for again: a container that was starting may have kept one.
	repairInterval = 10 * time.Second
	// replaceWait is how long a repair waits for the client that is to take a dead one's place, before it goes on with the
	// others'. The start goes on by itself, and begins the next repair when it has succeeded.
	replaceWait = 5 * time.Second
	// openWait is how long it waits for that client to open what a mount showed.
	openWait = 2 * time.Second
	// While the servers are away, the next start is tried after twice the time. So it is after manyDeaths in a row of clients that
	// were no older than young.
	minBackoff, maxBackoff = time.Second, time.Minute
	young, manyDeaths      = 250 * time.Millisecond, 5

	// gravePrefix begins the name of what was a start's directory until its client was found dead, with the client's own mount
	// still in it: as long as that is there, the kernel gives the device's number to no other file system, and whichever
	// process comes next can tell what is dead, in whatever mount namespace it is left. A reboot leaves the directory alone.
	gravePrefix = "dead-"
)

var repairs = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "glusterfs_csi_mounts_repaired_total",
	Help: "Mounts of dead clients that were replaced in place, in all mount namespaces of the host: beneath in one step, or on top where the kernel is older.",
}, []string{"way"})

// backoff is when a slot's next start for a repair is due, after one that failed.
type backoff struct {
	delay  time.Duration
	next   time.Time
	deaths int // in a row, of young clients
}

func (b *backoff) failed() {
	b.delay = min(max(2*b.delay, minBackoff), maxBackoff)
	b.next = time.Now().Add(b.delay)
}

// bury keeps the mount of a dead client, and has what else shows its device repaired. The caller has the slot's lock.
func (s *slot) bury(start string) error {
	grave := filepath.Join(s.dir, gravePrefix+strings.TrimPrefix(filepath.Base(start), startPrefix))
	if err := os.Rename(start, grave); err != nil {
		return fmt.Errorf("keep the mount of a dead client: %w", err)
	}
	s.host.wakeRepair()
	return nil
}

// noteDeath counts the deaths of clients that were young. Others have a start without delay.
func (s *slot) noteDeath(early bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !early {
		s.retry = backoff{}
		return
	}
	if s.retry.deaths++; s.retry.deaths >= manyDeaths {
		s.retry.failed()
	}
}

// repairLoop brings back the clients that died, and repairs what they had mounted: at once, at the start after what died
// before, and again as long as anything shows a dead device.
func (h *Host) repairLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var said leftLog
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.died:
		case <-timer.C:
		}
		h.adopt(ctx) // which buries the dead
		report, err := h.repair(ctx)
		if ctx.Err() == nil {
			said.update(ctx, report, err)
		}
		timer.Reset(h.untilRetry())
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
	*l = leftLog{lasting: strings.Join(lasting(report), "; "), unseen: report.Forbidden > 0}
	switch {
	case err != nil:
		if l.err = err.Error(); l.err != before.err {
			logger.Error(err, "Mounts of a dead client are left; they are repaired when it is back")
		}
	case len(report.Left) > 0: // a start is not due yet
		l.err = before.err
	}
	if l.lasting != "" && l.lasting != before.lasting {
		logger.Error(nil, "Mounts of dead clients stay dead; pods that need them have to be restarted", "mounts", l.lasting)
	}
	if l.unseen && !before.unseen {
		logger.Error(nil, "Some processes' mounts cannot be repaired, since they cannot be seen: is the mounter privileged, with hostPID?", "processes", report.Forbidden)
	}
}

// lasting lists the mounts that will not be repaired, sorted: not those that wait for a client, or for its answer.
func lasting(report mount.Report) []string {
	var mounts []string
	for _, s := range report.Stale {
		if !errors.Is(s.Err, mount.ErrNothingYet) && !errors.Is(s.Err, unix.ETIMEDOUT) {
			mounts = append(mounts, fmt.Sprintf("%s at %s of process %d: %v", s.Root, s.Target, s.PID, s.Err))
		}
	}
	slices.Sort(mounts)
	return mounts
}

// untilRetry is how long nothing is to be done, unless a client dies or comes.
func (h *Host) untilRetry() time.Duration {
	wait := repairInterval
	for _, s := range h.allSlots() {
		s.mu.Lock()
		if due := time.Until(s.retry.next); due > 0 {
			wait = min(wait, due)
		}
		s.mu.Unlock()
	}
	return wait
}

// watchDeath wakes the repair loop when the client's process ends.
func (h *Host) watchDeath(c *Client) {
	select {
	case <-c.process.exited:
		c.slot.noteDeath(time.Since(c.ready) < young)
		h.wakeRepair()
	case <-h.life.Done():
	}
}

func (h *Host) wakeRepair() {
	select {
	case h.died <- struct{}{}:
	default: // it is about to wake
	}
}

// grave is one dead device.
type grave struct {
	dir  string
	held *mount.Held
	slot *slot
}

// graves holds all dead devices. The caller closes them.
func (h *Host) graves() ([]grave, error) {
	var graves []grave
	var errs []error
	for _, s := range h.allSlots() {
		dirs, err := filepath.Glob(filepath.Join(s.dir, gravePrefix+"*"))
		errs = append(errs, err)
		for _, dir := range dirs {
			mountpoint := filepath.Join(dir, mountName)
			at, err := mount.At(mountpoint)
			if err == nil && len(at) == 0 || errors.Is(err, os.ErrNotExist) { // since a reboot, or somebody detached it
				errs = append(errs, discard(dir))
				continue
			}
			var held *mount.Held
			if err == nil {
				held, err = mount.Hold(mountpoint)
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			graves = append(graves, grave{dir, held, s})
		}
	}
	return graves, errors.Join(errs...)
}

// repair is one round: every mount of a dead device, in every mount namespace of this host, becomes one of the client that has
// taken its place. A device that nothing shows any more is forgotten.
func (h *Host) repair(ctx context.Context) (mount.Report, error) {
	graves, err := h.graves()
	defer func() {
		for _, g := range graves {
			_ = g.held.Close()
		}
	}()
	if len(graves) == 0 {
		return mount.Report{}, err
	}
	began := time.Now()
	trees, treesErr := h.replacements(ctx, graves)
	defer func() {
		for _, t := range trees {
			t.close()
		}
	}()
	ready := time.Since(began)
	dead := map[*mount.Held]mount.Open{}
	for _, g := range graves {
		dead[g.held] = nil
		if t := trees[g.slot]; t != nil {
			dead[g.held] = t.open
		}
	}
	report, repairErr := mount.Repair(ctx, dead)
	err = errors.Join(err, treesErr, repairErr)
	for _, g := range graves {
		if repairErr == nil && report.Left[g.held.Device()] == 0 {
			err = errors.Join(err, discard(g.dir))
		}
	}
	repairs.WithLabelValues("beneath").Add(float64(report.Beneath))
	repairs.WithLabelValues("on top").Add(float64(report.OnTop))
	if report.Beneath+report.OnTop > 0 {
		klog.FromContext(ctx).Info("Repaired the mounts of dead clients", "beneath", report.Beneath, "onTop", report.OnTop, "stale", len(report.Stale),
			"namespaces", report.Namespaces, "clientsReadyAfter", ready.Round(time.Millisecond), "took", time.Since(began).Round(time.Millisecond))
	}
	return report, err
}

// replacements returns the tree of each slot's running client, started where there is none. A slot whose client does not come
// in time is left out and named in the error.
func (h *Host) replacements(ctx context.Context, graves []grave) (map[*slot]*tree, error) {
	ctx, cancel := context.WithTimeout(ctx, replaceWait)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	trees := map[*slot]*tree{}
	var errs []error
	begun := map[*slot]bool{}
	for _, g := range graves {
		s := g.slot
		if begun[s] || !s.isDue() {
			continue
		}
		begun[s] = true
		all.Go(func() {
			t, err := s.replacement(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			trees[s] = t
		})
	}
	all.Wait()
	return trees, errors.Join(errs...)
}

// isDue says whether a client runs, or may be started now.
func (s *slot) isDue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasRunning() || !time.Now().Before(s.retry.next)
}

func (s *slot) replacement(ctx context.Context) (*tree, error) {
	c, err := s.host.Ensure(ctx, s.volume, s.options)
	var root *safepath.Dir
	if err == nil {
		root, err = safepath.OpenRoot(c.mountpoint)
	}
	if err == nil {
		return newTree(root), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == nil { // else it is not known yet whether it fails
		s.retry.failed()
	}
	return nil, err
}
