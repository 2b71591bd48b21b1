// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount/holders"
)

// memory is what is remembered of a client whose mounts are kept.
type memory struct {
	statedir.Ended

	known     map[int]bool // the IDs in it
	unwritten bool         // not all of it is on disk
}

// remember writes down which mounts the clients had that have ended: what was opened through one of them keeps its ID, and stays dead.
// Who has such files is looked for by package holders, as long as the file system is there.
func (r *Repairer) remember(ctx context.Context, dead []deadMount, report mount.Report) {
	met := map[mount.Device][]mount.DeadMount{}
	for _, m := range report.Dead {
		met[m.Device] = append(met[m.Device], m)
	}
	var errs []error
	for _, d := range dead {
		if mounts := met[d.held.Device()]; len(mounts) > 0 || r.isUnwritten(d) {
			errs = append(errs, r.rememberOne(d, mounts, report.RepairedOf[d.held.Device()] > 0))
		}
	}
	said := r.unremembered
	r.unremembered = ""
	if err := errors.Join(errs...); err != nil {
		if r.unremembered = err.Error(); said != r.unremembered {
			klog.FromContext(ctx).Error(err, "Who keeps files of a dead client open cannot be told; its mounts are repaired all the same")
		}
	}
}

// isUnwritten says whether what is remembered of a client has to be written again: no other round meets mounts that were repaired.
func (r *Repairer) isUnwritten(d deadMount) bool {
	m := r.memories[d.Start]
	return m != nil && m.unwritten
}

func (r *Repairer) rememberOne(d deadMount, met []mount.DeadMount, repaired bool) error {
	m, err := r.memoryOf(d)
	if m == nil {
		return err
	}
	if repaired && m.Repaired.IsZero() {
		m.Repaired, m.unwritten = time.Now().UTC(), true
	}
	for _, dead := range met {
		if !m.known[dead.ID] {
			m.known[dead.ID], m.unwritten = true, true
			m.Mounts[dead.Root] = append(m.Mounts[dead.Root], dead.ID)
		}
	}
	if m.unwritten {
		errWrite := r.host.StateDir().WriteEnded(&m.Ended)
		m.unwritten = errWrite != nil
		err = errors.Join(err, errWrite)
	}
	return err
}

// memoryOf is what is remembered of a client, be it by a process before this one. It may be there although something else cannot be read.
func (r *Repairer) memoryOf(d deadMount) (*memory, error) {
	if m := r.memories[d.Start]; m != nil {
		return m, nil
	}
	boot, err := statedir.Boot()
	if err != nil {
		return nil, err
	}
	id, err := connectionOf(d.held.Device())
	if err != nil {
		return nil, fmt.Errorf("remember what a client had mounted: %w", err)
	}
	pid, _ := d.Start.ReadyPID()
	m := &memory{known: map[int]bool{}, Ended: statedir.Ended{
		Volume: d.Volume, Device: d.held.Device(), Connection: id, Boot: boot, PID: pid, Mountpoint: d.Start.StartedAt(),
		Since: time.Now().UTC(), Mounts: map[string][]int{},
	}}
	before, err := r.host.StateDir().Ended()
	for _, e := range before {
		if e.IsSame(&m.Ended) {
			m.Ended = e
		}
	}
	for _, ids := range m.Mounts {
		for _, id := range ids {
			m.known[id] = true
		}
	}
	r.memories[d.Start] = m
	return m, err
}

// connectionOf is that of a file system that is held, so that nobody else has its device.
func connectionOf(device mount.Device) (uint64, error) {
	id, err := holders.Connection(device)
	if err == nil && id == 0 {
		err = fmt.Errorf("the kernel knows no FUSE file system %d:%d", device.Major, device.Minor)
	}
	return id, err
}
