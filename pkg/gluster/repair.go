// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	// repairInterval is how often dead mounts are looked for again: a container that was starting may have kept one.
	repairInterval = 10 * time.Second
	// replaceWait is how long a repair waits for the client that is to take a dead one's place, before it goes on with the
	// others'. The start goes on by itself, and the next repair finds its outcome.
	replaceWait = 5 * time.Second
	// While the servers are away, the next start is tried after twice the time.
	minBackoff, maxBackoff = time.Second, time.Minute

	// deadPrefix begins the name of an empty file in a slot's directory: the device in its name was this slot's, is dead, and may
	// still be mounted somewhere. The dead client's own mount point cannot say so, as it is removed before the next start.
	deadPrefix = "dead-"
)

var repairs = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "glusterfs_csi_mounts_repaired_total",
	Help: "Mounts of dead clients that were replaced in place, in all mount namespaces of the host: beneath in one step, or on top where the kernel is older.",
}, []string{"way"})

// backoff is when a slot's next start for a repair is due, after one that failed.
type backoff struct {
	delay time.Duration
	next  time.Time
}

func (b *backoff) failed() {
	b.delay = min(max(2*b.delay, minBackoff), maxBackoff)
	b.next = time.Now().Add(b.delay)
}

// bury remembers a dead client's device by what is still mounted at its mount point, and has it repaired. The caller has the
// slot's lock.
func (s *slot) bury(mountpoint string) error {
	held, err := mount.Hold(mountpoint)
	if err != nil {
		return err
	}
	file := s.graveOf(held.Device())
	if err := errors.Join(os.WriteFile(file, nil, 0o600), s.host.keep(file, held)); err != nil {
		return err
	}
	s.host.wakeRepair()
	return nil
}

func (s *slot) graveOf(d mount.Device) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s%d:%d", deadPrefix, d.Major, d.Minor))
}

// exhume holds the device that a file remembers which another process has left, by any mount that shows it here. The file goes
// if there is none: then nothing is left to repair, or a new file system has the number by now.
func (s *slot) exhume(file string) error {
	var d mount.Device
	if _, err := fmt.Sscanf(strings.TrimPrefix(filepath.Base(file), deadPrefix), "%d:%d", &d.Major, &d.Minor); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	entries, err := mount.List()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Device != d || !Shows(e, s.volume.Name) || s.host.Serves(d) {
			continue
		}
		held, err := mount.Hold(e.Target)
		if err != nil {
			continue // covered, or gone since
		}
		if held.Device() == d {
			return s.host.keep(file, held)
		}
		if err := held.Close(); err != nil {
			return err
		}
	}
	return os.Remove(file)
}

// keep adds a dead device to those that the host holds: as long as it is held, no other file system gets its number.
func (h *Host) keep(file string, held *mount.Held) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead[file] != nil {
		return held.Close()
	}
	h.dead[file] = held
	return nil
}

// letRest forgets a dead device that nothing shows any more.
func (h *Host) letRest(file string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.dead[file]
	delete(h.dead, file)
	return errors.Join(os.Remove(file), held.Close())
}

// releaseDead lets go of the dead devices; their files stay for the next Host.
func (h *Host) releaseDead() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for file, held := range h.dead {
		_ = held.Close()
		delete(h.dead, file)
	}
}

// repairLoop brings back the clients that died, and repairs what they had mounted: at once, at the start after what died
// before, and again as long as anything shows a dead device.
func (h *Host) repairLoop(ctx context.Context) {
	ticker := time.NewTicker(repairInterval)
	defer ticker.Stop()
	for {
		h.adopt(ctx) // which buries the dead
		if err := h.repair(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Mounts of a dead client are left; they are repaired when it is back")
		}
		select {
		case <-ctx.Done():
			return
		case <-h.died:
		case <-ticker.C:
		}
	}
}

// watchDeath wakes the repair loop when the client's process ends.
func (h *Host) watchDeath(c *Client) {
	select {
	case <-c.process.exited:
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
	file string
	held *mount.Held
	slot *slot
}

func (h *Host) graves() ([]grave, error) {
	var graves []grave
	var errs []error
	for _, s := range h.allSlots() {
		files, err := filepath.Glob(filepath.Join(s.dir, deadPrefix+"*"))
		errs = append(errs, err)
		for _, file := range files {
			held := h.held(file)
			if held == nil {
				errs = append(errs, s.exhume(file))
				held = h.held(file)
			}
			if held != nil {
				graves = append(graves, grave{file, held, s})
			}
		}
	}
	return graves, errors.Join(errs...)
}

func (h *Host) held(file string) *mount.Held {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dead[file]
}

// repair is one round: every mount of a dead device, in every mount namespace of this host, becomes one of the client that has
// taken its place.
func (h *Host) repair(ctx context.Context) error {
	graves, err := h.graves()
	if err != nil || len(graves) == 0 {
		return err
	}
	began := time.Now()
	roots, err := h.replacements(ctx, graves)
	defer func() {
		for _, root := range roots {
			root.Close()
		}
	}()
	ready := time.Since(began)
	dead := map[*mount.Held]mount.Open{}
	for _, g := range graves {
		dead[g.held] = nil
		if root := roots[g.slot]; root != nil {
			dead[g.held] = root.OpenAny
		}
	}
	report, repairErr := mount.Repair(ctx, dead)
	if err = errors.Join(err, repairErr); err == nil && report.Left == 0 {
		for _, g := range graves {
			err = errors.Join(err, h.letRest(g.file))
		}
	}
	repairs.WithLabelValues("beneath").Add(float64(report.Beneath))
	repairs.WithLabelValues("on top").Add(float64(report.OnTop))
	if report.Beneath+report.OnTop > 0 {
		klog.FromContext(ctx).Info("Repaired the mounts of dead clients", "beneath", report.Beneath, "onTop", report.OnTop, "left", report.Left, "stale", report.Stale,
			"namespaces", report.Namespaces, "clientsReadyAfter", ready.Round(time.Millisecond), "took", time.Since(began).Round(time.Millisecond))
	}
	return err
}

// replacements returns the root of each slot's running client, started where there is none. A slot whose client does not come
// in time is left out and named in the error.
func (h *Host) replacements(ctx context.Context, graves []grave) (map[*slot]*safepath.Dir, error) {
	ctx, cancel := context.WithTimeout(ctx, replaceWait)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	roots := map[*slot]*safepath.Dir{}
	var errs []error
	begun := map[*slot]bool{}
	for _, g := range graves {
		s := g.slot
		if begun[s] || time.Now().Before(s.retry.next) {
			continue
		}
		begun[s] = true
		all.Go(func() {
			root, err := s.replacement(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			roots[s] = root
		})
	}
	all.Wait()
	return roots, errors.Join(errs...)
}

func (s *slot) replacement(ctx context.Context) (*safepath.Dir, error) {
	c, err := s.host.Ensure(ctx, s.volume, s.options)
	var root *safepath.Dir
	if err == nil {
		root, err = safepath.OpenRoot(c.mountpoint)
	}
	if err != nil {
		s.retry.failed()
		return nil, err
	}
	s.retry = backoff{}
	return root, nil
}
