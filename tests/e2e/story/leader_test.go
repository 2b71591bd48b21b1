// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// withSnapshots is the chart with all that snapshots need.
const withSnapshots = "snapshots.enabled=true,snapshots.crds=true,snapshots.controller.enabled=true"

// twoControllers ends the controller that leads, on a node that takes no other one then: the second makes the volumes. They can make
// snapshots, too, in a cluster that could not before.
func twoControllers(h helmRelease) {
	s := h.s
	h.run("upgrade", "--wait=legacy", "--timeout", patience.String(), "--set", "controller.replicas=2,"+withSnapshots)
	s.isUp()
	s.rolledOut("kube-system", "deployment/snapshot-controller")
	s.kubectl("get", "volumesnapshotclass", "glusterfs")
	n := s.namespace("story-10-leaders")
	first := s.leaderAfter("")
	s.Cleanup(func() {
		s.kubectl("uncordon", first)
		s.rolledOut(driverNamespace, "deployment/glusterfs-csi-controller")
	})
	s.kubectl("cordon", first)
	began := time.Now()
	s.killPods("controller", first)
	second := s.leaderAfter(first)
	s.Logf("%s led %s after the controller on %s was killed", second, seconds(time.Since(began)), first)
	n.makeClaims(1)
	n.volume(claimName(0))
}

// leaderAfter waits until a controller leads that is not on this node, and returns its node, by which the provisioner knows itself.
func (s *step) leaderAfter(node string) string {
	s.Helper()
	var leader string
	s.await(patience, "a controller leads", func(ctx context.Context) error {
		const lease = "glusterfs-csi-gluster-org" // the driver's name, as the provisioner writes it
		l, err := s.api.CoordinationV1().Leases(driverNamespace).Get(ctx, lease, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity == node {
			return fmt.Errorf("the lease is of %q still", node)
		}
		leader = *l.Spec.HolderIdentity
		return nil
	})
	return leader
}
