// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"fmt"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

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
