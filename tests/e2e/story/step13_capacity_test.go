// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/install"
)

// capacity is quota turned on as the driver says: a claim has its size in the pod, is grown under it, and ends at it.
func capacity(s *step) {
	s.turnQuotaOn()
	n := s.namespace("story-13")
	n.apply("13-capacity.yaml")
	n.ready("grown", "small")
	uid := n.pod("grown").UID

	s.part("size", func(s *step) {
		n := n.in(s)
		n.shows("grown", 1<<20)
		n.kubelets("grown", 1<<30)
	})
	s.part("grown", func(s *step) {
		n := n.in(s)
		n.grow("grown", "2Gi")
		took := n.shows("grown", 2<<20)
		n.Logf("the pod sees 2Gi %s after the claim was patched", seconds(took))
		n.kubelets("grown", 2<<30)
		if pod := n.pod("grown"); pod.UID != uid || pod.Status.ContainerStatuses[0].RestartCount != 0 {
			n.Errorf("the pod was restarted: %v", pod.Status.ContainerStatuses)
		}
	})
	s.part("full", func(s *step) {
		n := n.in(s)
		n.refuses("small", "dd if=/dev/zero of=/data/ballast bs=1M count=80 conv=fsync", "quota exceeded")
		n.prints("grown", "echo goes on >/data/neighbour && cat /data/neighbour", "goes on")
		n.grow("small", "64Mi")
		took := n.await(patience, "a full claim that was grown takes more", func(context.Context) error {
			_, err := n.try("small", "dd if=/dev/zero of=/data/more bs=1M count=8 conv=fsync")
			return err
		})
		n.Logf("the full claim is written to again %s after it was patched", seconds(took))
	})
}

// turnQuotaOn runs what docs/capacity.md says on a server, until the step ends.
func (s *step) turnQuotaOn() {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	s.Cleanup(func() {
		ctx, cancel := s.context(callTimeout)
		defer cancel()
		if _, err := s.Gluster(ctx, "volume", "quota", cluster.Volume, "disable"); err != nil {
			s.Error(err)
		}
	})
	if err := install.TurnQuotaOn(ctx, s.Cluster); err != nil {
		s.Error(err)
	}
}

func (n *namespace) grow(claim, size string) {
	n.Helper()
	n.kubectl("-n", n.name, "patch", "pvc", claim, "-p", `{"spec": {"resources": {"requests": {"storage": "`+size+`"}}}}`)
}

// shows waits until df in a pod says that its volume has so many KiB.
func (n *namespace) shows(pod string, kib int) (took time.Duration) {
	n.Helper()
	return n.await(patience, fmt.Sprintf("df in %s shows %d KiB", pod, kib), func(context.Context) error {
		have, err := n.try(pod, "df -k /data | tail -n 1 | tr -s ' '")
		fields := strings.Fields(have)
		if err == nil && (len(fields) < 2 || fields[1] != fmt.Sprint(kib)) {
			err = fmt.Errorf("it shows %q", have)
		}
		return err
	})
}

// kubelets waits until kubelet says that the volume of a claim, which has the name of its pod, has so many bytes. It
// measures once a minute.
func (n *namespace) kubelets(claim string, bytes uint64) {
	n.Helper()
	node := n.pod(claim).Spec.NodeName
	n.await(2*patience, fmt.Sprintf("kubelet's statistics of claim %s show %d bytes", claim, bytes), func(context.Context) error {
		text, err := n.tryKubectl("get", "--raw", "/api/v1/nodes/"+node+"/proxy/stats/summary")
		if err != nil {
			return err
		}
		var summary struct {
			Pods []struct {
				Volumes []struct {
					Capacity uint64 `json:"capacityBytes"`
					Claim    struct {
						Name      string `json:"name"`
						Namespace string `json:"namespace"`
					} `json:"pvcRef"`
				} `json:"volume"`
			} `json:"pods"`
		}
		if err := json.Unmarshal([]byte(text), &summary); err != nil {
			return err
		}
		for _, pod := range summary.Pods {
			for _, v := range pod.Volumes {
				if v.Claim.Namespace == n.name && v.Claim.Name == claim {
					if v.Capacity == bytes {
						return nil
					}
					return fmt.Errorf("it shows %d bytes", v.Capacity)
				}
			}
		}
		return fmt.Errorf("%s has no statistics of it", node)
	})
}
