// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// addStale adds what stays dead in containers, which is not to be seen from here.
func (o *Observer) addStale(ctx context.Context, r *findings, v gluster.Volume, at *Place) {
	all, err := o.host.Stale()
	if err != nil {
		klog.FromContext(ctx).Error(err, "Cannot tell what stays dead in containers")
		return
	}
	for _, s := range all {
		if s.Volume != v || at != nil && !at.has(s) {
			continue
		}
		state := Degraded
		if s.Pod != "" && at != nil && at.Pod == s.Pod {
			state = Inaccessible
		}
		r.add(state, ContainerMountDead, s.Describe())
	}
}

// has says whether mounts that stay dead are of what is mounted here, and of the same pod as far as that is known.
func (p *Place) has(s statedir.Stale) bool {
	return p.isOf(s.Root, s.Pod)
}

func (p *Place) isOf(root, pod string) bool {
	isBelow := p.Root == "/" || root == p.Root || strings.HasPrefix(root, p.Root+"/")
	return isBelow && (p.Pod == "" || pod == "" || p.Pod == pod)
}

// maxHolders is how many are named in one message: it becomes part of the pod's status.
const maxHolders = 5

// addHolders adds who keeps files of a dead client open.
func (o *Observer) addHolders(ctx context.Context, r *findings, v gluster.Volume, at *Place) {
	all, err := o.host.Holders()
	if err != nil {
		klog.FromContext(ctx).Error(err, "Cannot tell who keeps files of dead clients open")
		return
	}
	found := 0
	for _, h := range all {
		if h.Volume != v || !h.IsBroken() || at != nil && !at.isOf(h.Root, h.Pod) {
			continue
		}
		if found++; found <= maxHolders {
			r.add(Degraded, DeadFiles, h.Describe())
		}
	}
	if found > maxHolders {
		r.add(Degraded, DeadFiles, fmt.Sprintf("and %d other processes: `glusterfs-csi node holders` lists them", found-maxHolders))
	}
}
