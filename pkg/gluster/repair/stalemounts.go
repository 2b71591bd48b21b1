// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/pods"
)

// maxStaleRoots bounds what is told of one container and Gluster volume: a container may mount as many directories as it likes.
const maxStaleRoots = 10

// tellStale has those who look at the health of this host know what stays dead in containers alone: what is mounted on the host
// they see themselves. volumes are those of the dead devices.
func (r *Repairer) tellStale(report mount.Report, volumes map[mount.Device]gluster.Volume) error {
	own, err := ownNamespace()
	if err != nil {
		return err
	}
	r.metrics.leave(report, volumes, r.volumes())
	found := inContainers(lasting(report), own)
	var told []statedir.Stale
	known := map[containerPart]int{}
	for _, s := range found {
		v := volumes[s.Device]
		r.metrics.lasting.WithLabelValues(v.Cluster, v.Name).Inc()
		root := strings.TrimSuffix(s.Root, "//deleted") // as the kernel adds
		part := containerPart{s.Namespace, v}
		isNew := !slices.ContainsFunc(told, func(t statedir.Stale) bool { return t.Volume == v && t.PID == s.PID && t.Root == root })
		if known[part] < maxStaleRoots && isNew {
			known[part]++
			told = append(told, statedir.Stale{
				Volume: v, Pod: pods.OfProcess(s.PID).Pod, PID: s.PID, Root: root, Target: s.Target, Reason: s.Err.Error(),
			})
		}
	}
	slices.SortFunc(told, func(a, b statedir.Stale) int {
		return cmp.Or(gluster.CompareVolumes(a.Volume, b.Volume), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Root, b.Root))
	})
	if r.told != nil && slices.Equal(*r.told, told) {
		return nil
	}
	if err := r.host.TellStale(told); err != nil {
		return err
	}
	r.told = &told
	return nil
}

// containerPart is what one container has of one Gluster volume.
type containerPart struct {
	namespace uint64
	volume    gluster.Volume
}

// inContainers leaves out the mounts of the mount namespace own, and those that containers have of them: the node plugin's, or one that
// has the host's root below a directory of its own.
func inContainers(stale []mount.Stale, own uint64) []mount.Stale {
	type shown struct {
		device mount.Device
		root   string
	}
	onHost := map[shown][]string{} // → targets
	for _, s := range stale {
		if s.Namespace == own {
			key := shown{s.Device, s.Root}
			onHost[key] = append(onHost[key], s.Target)
		}
	}
	return slices.DeleteFunc(slices.Clone(stale), func(s mount.Stale) bool {
		return s.Namespace == own || slices.ContainsFunc(onHost[shown{s.Device, s.Root}], func(target string) bool {
			return strings.HasSuffix(s.Target, target)
		})
	})
}

// ownNamespace is the inode number of this process's mount namespace, as mount.Stale has it.
func ownNamespace() (uint64, error) {
	info, err := os.Stat("/proc/self/ns/mnt")
	if err != nil {
		return 0, err
	}
	stat, _ := info.Sys().(*syscall.Stat_t)
	return stat.Ino, nil
}

// volumes are those of which this host has, or had, clients.
func (r *Repairer) volumes() map[gluster.Volume]bool {
	all := map[gluster.Volume]bool{}
	for v := range r.host.Tallies() {
		all[v] = true
	}
	return all
}
