// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
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
