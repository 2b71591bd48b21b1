// SPDX-License-Identifier: Apache-2.0

package driver

import "github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"

// What kubelet says of the pod, as the CSIDriver object asks it to.
const (
	podNameKey      = "csi.storage.k8s.io/pod.name"
	podNamespaceKey = "csi.storage.k8s.io/pod.namespace"
)

// rememberPod has this process know which pod a target is for, to have it told what its client has left dead; and who
// looks after the clients whether its containers are to be restarted then. A target that is not a pod's has none.
func (n *node) rememberPod(s shown, context map[string]string, restart bool) error {
	match := podPath.FindStringSubmatch(s.target)
	if match == nil {
		return nil
	}
	return n.host.StateDir().WritePublished(statedir.Published{
		Volume: s.id.Volume, Pod: match[1], Namespace: context[podNamespaceKey], Name: context[podNameKey], Root: s.root, Target: s.target, Restart: restart,
	})
}
