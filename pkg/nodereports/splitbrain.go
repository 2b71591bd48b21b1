// SPDX-License-Identifier: Apache-2.0

package nodereports

import (
	"errors"
	"slices"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/health"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// addSplit adds, of each pod, the files of its volumes that the bricks disagree on, and writes all such files down
// for the doctor.
func (r *Reporter) addSplit(all map[gluster.Volume][]store.Pod) (map[gluster.Volume][]store.Pod, error) {
	split := map[gluster.Volume][]string{}
	var list []statedir.Split
	for _, c := range r.host.Running() {
		v := c.Volume()
		if files := r.split(v); len(files) > 0 && split[v] == nil {
			split[v] = files
			list = append(list, statedir.Split{Volume: v, Files: files})
		}
	}
	written, err := r.root.Split()
	if err != nil || !slices.EqualFunc(written, list, func(a, b statedir.Split) bool { return a.Volume == b.Volume && slices.Equal(a.Files, b.Files) }) {
		err = r.root.WriteSplit(list)
	}
	if len(split) == 0 {
		return all, err // mostly: then nothing else is read
	}
	published, errPublished := r.root.Published()
	if all == nil {
		all = map[gluster.Volume][]store.Pod{}
	}
	for _, p := range published {
		files := slices.DeleteFunc(slices.Clone(split[p.Volume]), func(file string) bool { return !p.Has(p.Volume, file) })
		if len(files) == 0 || p.Name == "" {
			continue
		}
		pod := store.Pod{Namespace: p.Namespace, Name: p.Name, UID: p.Pod, Code: health.SplitBrain, Message: health.SplitMessage(p.Volume, files)}
		if !slices.Contains(all[p.Volume], pod) {
			all[p.Volume] = append(all[p.Volume], pod)
		}
	}
	return all, errors.Join(err, errPublished)
}
