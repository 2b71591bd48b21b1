// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// brickHealth is what Kubernetes shows of a brick that is killed, and of its return.
func brickHealth(r recorders) {
	first, second := r.Nodes()[0], r.Nodes()[1]
	pod := r.pods()[0].Name
	r.isHealed()
	healthy := func(ctx context.Context) error { return errors.Join(r.podIs(ctx, pod, ""), r.nodeIs(ctx, first, "")) }
	r.await(patience, "all is healthy", healthy)
	r.undisturbedBy(func() {
		r.down("the brick on "+second.Name, second.StopBrick, second.StartBrick)
		took := r.await(patience, "the killed brick is shown", func(ctx context.Context) error {
			return errors.Join(r.podIs(ctx, pod, second.Name+":"), r.nodeIs(ctx, first, second.Name+":"))
		})
		r.Logf("shown after %s: %s", seconds(took), r.kubectl("-n", r.name, "get", "pod", pod, "-o", "jsonpath={.status.volumeHealth}"))
		r.Logf("%s", r.kubectl("get", "csinode", first.Name, "-o", "jsonpath={.status.storageHealth}"))
	})
	ctx, cancel := r.context(patience)
	defer cancel()
	if err := second.StartBrick(ctx); err != nil {
		r.Fatal(err)
	}
	r.Logf("its return was shown after %s", seconds(r.await(patience, "all is healthy again", healthy)))
}

// podIs says whether the pod's status calls a volume degraded for this brick, or for none.
func (r recorders) podIs(ctx context.Context, pod, brick string) error {
	p, err := r.api.CoreV1().Pods(r.name).Get(ctx, pod, metav1.GetOptions{})
	if err != nil {
		return err
	}
	return shows("pod "+pod, conditionsOf(p), brick)
}

// conditionsOf are those of a pod's volumes.
func conditionsOf(p *corev1.Pod) (conditions []string) {
	for _, health := range p.Status.VolumeHealth {
		for _, c := range health.HealthConditions {
			conditions = append(conditions, fmt.Sprintf("%s %s %s", c.Status, c.Reason, c.Message))
		}
	}
	return conditions
}

// nodeIs is podIs for what the CSINode shows.
func (r recorders) nodeIs(ctx context.Context, node *cluster.Node, brick string) error {
	n, err := r.api.StorageV1().CSINodes().Get(ctx, node.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	var conditions []string
	for _, health := range n.Status.StorageHealth {
		for _, c := range health.HealthConditions {
			conditions = append(conditions, fmt.Sprintf("%s %s %s", c.Status, c.Reason, c.Message))
		}
	}
	return shows("CSINode "+node.Name, conditions, brick)
}

func shows(what string, conditions []string, brick string) error {
	text := strings.Join(conditions, "; ")
	if brick == "" && text == "" || brick != "" && strings.Contains(text, "Degraded BrickUnreachable") && strings.Contains(text, brick) {
		return nil
	}
	return fmt.Errorf("%s shows %q", what, text)
}
