// SPDX-License-Identifier: Apache-2.0

// Package manager is the volumes of all Gluster volumes in the clusters file. It gives each operation of pkg lifecycle
// a deadline, the right client, a permit and a lock, so that there is one at a time per volume; knows what all volumes
// have together, and bounds it; and does what is to be done without a call: it empties the trash, finishes what was
// interrupted, changes owners throughout a volume, and looks whether records and directories belong together.
package manager

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/commit"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/jobs"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/provisioned"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
)

// Manager is the volumes of all Gluster volumes in the clusters file. Every method
// returns when its context is done, with an error that wraps the context's, even while
// GlusterFS does not answer; what it began then goes on by itself, is the only one of
// its volume, and its repetition finds the outcome. Errors of pkg/gluster come through.
type Manager struct {
	clusters *gluster.ClustersFile
	settings *settings.Known
	host     *client.Host
	permits  *permits.Pool
	own      []string // options of the client for all but what is published
	locks    keyedLocks

	views    views
	tries    tries
	sizes    provisioned.Sizes
	problems *prometheus.GaugeVec
	quotas   *quota.States
	limits   *prometheus.CounterVec
	headroom int64

	kubernetes Identity      // nil: it knows none
	retention  time.Duration // of what it deletes
	leases     leases

	quotaState *prometheus.GaugeVec
	metrics    *metrics
	notices    Notices

	provisioned provisioned.Sums
	counting    singleflight.Group // of what is provisioned
	ownerWalks  jobs.OwnerWalks
	copies      *jobs.Copies

	mu         sync.Mutex
	remembered map[gluster.Volume]*remembered
}

// New returns a manager that uses the clients of this host: for all but what is published those with the given
// options. Each of its operations has a permit as long as it runs. With gluster.FreshNames what another controller does
// is seen as soon as the bricks have it (TestWhateverTwoControllersDoAtOnceEndsAsOneOfThemWould); without, within a
// second or two of the other's work on the same path, one may act on what was there before. What servers have said of
// Gluster volumes is known. The metrics go into the registry, unless that is nil.
func New(
	clusters *gluster.ClustersFile, known *settings.Known, host *client.Host, pool *permits.Pool, registry prometheus.Registerer,
	own ...string,
) *Manager {
	return &Manager{
		clusters: clusters, settings: known, host: host, permits: pool, own: own, remembered: map[gluster.Volume]*remembered{},
		problems: newProblems(registry), quotas: quota.NewStates(clusters), limits: newLimits(registry),
		quotaState: newQuotaState(registry), metrics: newMetrics(registry), headroom: quota.DefaultHeadroom,
		copies: jobs.NewCopies(DefaultMaxCopies, DefaultMaxCopiesVolume), retention: DefaultRetention, leases: defaultLeases,
	}
}

// SetHeadroom says how much of the end of a volume bricks ask about with each write, in bytes: as much as its fastest
// writers together write in quota.SoftTimeout. It comes before everything else.
func (m *Manager) SetHeadroom(bytes int64) { m.headroom = bytes }

// The bounds of how many copies a process makes at once, unless flags say otherwise.
const (
	DefaultMaxCopies       = 4
	DefaultMaxCopiesVolume = 2
)

// SetMaxCopies bounds how many copies this process makes at once: in all, and to one Gluster volume. It comes before
// everything else.
func (m *Manager) SetMaxCopies(inAll, perVolume int) { m.copies = jobs.NewCopies(inAll, perVolume) }

// Close ends what goes on without a caller, and gives up what is held open between two operations, which would keep a
// client that is detached from ending.
func (m *Manager) Close() {
	m.ownerWalks.Close()
	m.copies.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.remembered {
		r.committer.Close()
	}
}

// remembered is what the manager knows of a Gluster volume from one operation to the next.
type remembered struct {
	committer *commit.Committer
	store     *store.Memory
	trash     *trash.Memory
	limits    limited
	quotaWas  string // in the round before; the maintainer's alone
}

func (m *Manager) remember(v gluster.Volume) *remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.remembered[v] == nil {
		c := commit.New()
		m.remembered[v] = &remembered{
			committer: c, trash: &trash.Memory{Low: m.lowOf(v)},
			store: store.NewMemory(func(mount *safepath.Dir) error { return c.Commit(context.Background(), mount) }),
		}
	}
	return m.remembered[v]
}

// Choose returns the Gluster volume that a request names, "" standing for the only one.
func (m *Manager) Choose(cluster, volume string) (gluster.Volume, error) {
	clusters, err := m.clusters.Current()
	if err != nil {
		return gluster.Volume{}, err
	}
	return clusters.Choose(cluster, volume)
}

// Create is Volumes.Create, and ErrTooLarge for a new volume that is larger than the Gluster volume, ErrProvisioned where
// all would have more together than they may, and ErrUnlimited for one that is to be held to its capacity where nothing
// holds it; whether it is enforced is decided here. What an earlier try on another Gluster volume has left, of which
// this process knows, is given up by Maintain.
func (m *Manager) Create(ctx context.Context, v gluster.Volume, spec volume.Spec) (volume.Record, error) {
	if err := m.mayCreate(ctx, v, volume.IDFor(spec.Name)); err != nil {
		return volume.Record{}, err
	}
	if err := m.counted(ctx, v); err != nil {
		return volume.Record{}, err
	}
	m.tries.begin(spec.Name, v)
	r, err := m.create(ctx, v, spec)
	if !isRefused(err) {
		m.tries.end(spec.Name, v, err == nil)
	}
	if err == nil {
		m.sayBent(ctx, v, spec)
	}
	return r, unfinished(err)
}

func (m *Manager) create(ctx context.Context, v gluster.Volume, spec volume.Spec) (volume.Record, error) {
	enforced, quotaErr := m.enforces(ctx, v, spec)
	spec.Enforced = enforced
	if spec.Source != nil && quotaErr == nil {
		required, err := m.copied(ctx, v, spec)
		if err != nil {
			return volume.Record{}, err
		}
		spec.Required = required
	}
	return one(ctx, m, v, volume.IDFor(spec.Name), func(s *lifecycle.Volumes) (volume.Record, error) {
		if err := m.sizes.Fits(s.Store, spec); err != nil {
			return volume.Record{}, err
		}
		if quotaErr != nil {
			if _, err := s.GetAsMade(volume.IDFor(spec.Name)); errors.Is(err, volume.ErrNotFound) { // else it was decided when it was made
				return volume.Record{}, quotaErr
			}
		}
		return m.within(s, volume.IDFor(spec.Name), spec.Required, func() (volume.Record, error) { return s.Create(spec) })
	})
}

// Delete is Volumes.Delete. A volume on a cluster or Gluster volume that is not in the
// clusters file is not this driver's to delete: nothing is touched. What is being copied for it ends first, and a change
// of owner throughout it.
func (m *Manager) Delete(ctx context.Context, id volume.ID) error {
	m.ownerWalks.Stop(lockKey(id.Volume, id.ID))
	if err := m.copies.Stop(ctx, jobs.CopyKey{Volume: id.Volume, Kind: volume.Clones, ID: id.ID}); err != nil {
		return err
	}
	return m.change(ctx, id.Volume, id.ID, func(s *lifecycle.Volumes) error {
		err := s.Delete(context.WithoutCancel(ctx), id.ID)
		if err == nil {
			m.provisioned.Of(id.Volume).Remove(id.ID)
		}
		return err
	})
}

// Get is Store.Get.
func (m *Manager) Get(ctx context.Context, id volume.ID) (volume.Record, error) {
	return one(ctx, m, id.Volume, "", func(s *lifecycle.Volumes) (volume.Record, error) { return s.Get(id.ID) })
}

// Capacity is Store.Capacity, with no more available than volumes may still be given.
func (m *Manager) Capacity(ctx context.Context, v gluster.Volume) (available, total int64, err error) {
	if err := m.counted(ctx, v); err != nil {
		return 0, 0, err
	}
	both, err := one(ctx, m, v, "", func(s *lifecycle.Volumes) ([2]int64, error) {
		available, total, err := s.Capacity()
		return [2]int64{available, total}, err
	})
	return m.unprovisioned(v, both[0], both[1]), both[1], err
}

// Trash returns what is in the trash of a Gluster volume, as Trash.TrashEntries.
func (m *Manager) Trash(ctx context.Context, v gluster.Volume) ([]store.TrashEntry, error) {
	return one(ctx, m, v, "", func(s *lifecycle.Volumes) ([]store.TrashEntry, error) { return s.Trash.TrashEntries() })
}

// Restore is Trash.Restore.
func (m *Manager) Restore(ctx context.Context, v gluster.Volume, entry string) (volume.Record, error) {
	return changing(ctx, m, v, volume.IDOfStamp(entry), func(s *lifecycle.Volumes) (volume.Record, error) { return s.Trash.Restore(entry) })
}

// Hold is Trash.Hold.
func (m *Manager) Hold(ctx context.Context, v gluster.Volume, entry string) error {
	return m.change(ctx, v, volume.IDOfStamp(entry), func(s *lifecycle.Volumes) error { return s.Trash.Hold(entry) })
}

// Release is Trash.Release.
func (m *Manager) Release(ctx context.Context, v gluster.Volume, entry string) error {
	return m.change(ctx, v, volume.IDOfStamp(entry), func(s *lifecycle.Volumes) error { return s.Trash.Release(entry) })
}

// purgeEnds is how long Purge waits, when its context is done, for the last file to go, so that what p says is true.
const purgeEnds = 5 * time.Second

// Purge is Trash.Purge, and ErrDisconnected where it does not end soon after its context: then what p says may not be
// so.
func (m *Manager) Purge(ctx context.Context, v gluster.Volume, entry string, p *trash.Purging) error {
	outer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(purgeEnds, cancel) })
	defer stop()
	err := m.change(outer, v, "", func(s *lifecycle.Volumes) error { return s.Trash.Purge(ctx, entry, p) })
	if outer.Err() != nil {
		return fmt.Errorf("%w: %w", volume.ErrDisconnected, err)
	}
	return err
}

// Volume is a record and where it is.
type Volume struct {
	ID     volume.ID
	Record volume.Record
}

// Publish calls show with a descriptor of the volume's directory, and with its path as
// mountinfo gives the root of a bind mount of it, after its owner was set and the whole
// of it was granted to the group asked for. show must not wait for GlusterFS; it is not
// called once Publish has returned. Errors: those of Volumes.Directory, and ErrBusy while
// a grant goes on in the background, which a repetition joins. A read-only one changes nothing, and so
// waits for no other operation of the volume: a grant may take hours.
func (m *Manager) Publish(ctx context.Context, id volume.ID, options []string, access lifecycle.Access, show func(fd int, root string) error) error {
	key := id.ID
	if access.ReadOnly {
		key = ""
	}
	err := m.run(ctx, id.Volume, options, key, func(ctx context.Context, s *lifecycle.Volumes, op *operation) error {
		dir, root, err := s.Directory(ctx, access)
		if err != nil {
			return err
		}
		defer dir.Close()
		if access.Group != nil && !access.ReadOnly {
			op.long("its files are being granted to group " + strconv.FormatUint(uint64(*access.Group), 10))
			if err := s.GrantGroup(ctx, id.ID, dir, *access.Group); err != nil {
				return err
			}
		}
		if !op.commit() {
			return context.Canceled // nobody reads it
		}
		return show(dir.Fd(), root)
	})
	return m.neverMade(ctx, id.Volume, err)
}
