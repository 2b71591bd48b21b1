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

	known map[int]bool // the IDs in it
}

// remember writes down which mounts the clients had that have ended: what was opened through one of them keeps its ID, and stays dead.
// Who has such files is looked for by package holders, as long as the file system is there.
func (r *Repairer) remember(ctx context.Context, dead []deadMount, replacements map[string]*replacement, report mount.Report) {
	met := map[mount.Device][]mount.DeadMount{}
	for _, m := range report.Dead {
		met[m.Device] = append(met[m.Device], m)
	}
	var errs []error
	for _, d := range dead {
		if mounts := met[d.held.Device()]; len(mounts) > 0 {
			errs = append(errs, r.rememberOne(d, mounts, report.Repaired() > 0 && replacements[d.Slot] != nil))
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

func (r *Repairer) rememberOne(d deadMount, met []mount.DeadMount, repaired bool) error {
	m, err := r.memoryOf(d)
	if err != nil {
		return err
	}
	changed := repaired && m.Repaired.IsZero()
	if changed {
		m.Repaired = time.Now().UTC()
	}
	for _, dead := range met {
		if !m.known[dead.ID] {
			m.known[dead.ID], changed = true, true
			m.Mounts[dead.Root] = append(m.Mounts[dead.Root], dead.ID)
		}
	}
	if !changed {
		return nil
	}
	return r.host.StateDir().WriteEnded(&m.Ended)
}

// memoryOf is what is remembered of a client, be it by a process before this one.
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
	connections, err := holders.OpenConnections()
	if err != nil {
		return 0, err
	}
	defer connections.Close()
	id, err := connections.ID(device)
	if err == nil && id == 0 {
		err = fmt.Errorf("the kernel knows no FUSE file system %d:%d", device.Major, device.Minor)
	}
	return id, err
}
