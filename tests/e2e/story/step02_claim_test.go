// SPDX-License-Identifier: Apache-2.0

package story

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// firstClaim is the operator's: 1Gi for many writers, in any namespace.
func firstClaim(s *step) {
	n := s.claimNamespace("kube-verify")
	times := n.watchClaims()
	s.kubectl("apply", "-f", filepath.Join(examples, "kube-verify.yaml"))
	volume := n.volume("gluster-claim")
	s.Logf("gluster-claim was bound after %s", seconds(times.last(1)))

	if have := volume.Spec.AccessModes; !slices.Equal(have, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}) {
		s.Errorf("access modes %v", have)
	}
	if have := volume.Spec.Capacity.Storage().String(); have != "1Gi" {
		s.Errorf("capacity %s", have)
	}
	text, err := json.Marshal(volume.Spec)
	if err != nil {
		s.Fatal(err)
	}
	for _, node := range s.Nodes() {
		if strings.Contains(string(text), node.IP) || strings.Contains(string(text), node.Name) {
			s.Errorf("the volume names a server: %s", text)
		}
	}
	s.Logf("PersistentVolume: %s, attributes %v", volume.Spec.CSI.VolumeHandle, volume.Spec.CSI.VolumeAttributes)
}
