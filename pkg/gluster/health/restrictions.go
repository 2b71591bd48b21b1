// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"slices"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// addRestrictions adds the options of the Gluster volume that forbid what the driver does: files can be read, as far as
// their owner and mode allow it. Servers are not asked where it is inaccessible.
func (o *Observer) addRestrictions(ctx context.Context, r *findings, v gluster.Volume) {
	if slices.ContainsFunc(r.reasons, func(reason Reason) bool { return reason.State == Inaccessible }) {
		return
	}
	for _, restriction := range o.settings.Get(ctx, v).Restrictions {
		r.add(Degraded, restriction.Code, restriction.Says(v))
	}
}
