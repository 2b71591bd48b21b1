// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// rememberRestart has who looks after the clients know whether the containers of the pod that a target is for are to be restarted when they
// keep files of a dead client open. A target that is not a pod's has no containers.
func (n *node) rememberRestart(s shown, wanted bool) error {
	match := podPath.FindStringSubmatch(s.target)
	if !wanted || match == nil {
		return n.host.StateDir().RemovePublished(s.target)
	}
	return n.host.StateDir().WritePublished(statedir.Published{Volume: s.id.Volume, Pod: match[1], Root: s.root, Target: s.target})
}
