// SPDX-License-Identifier: Apache-2.0

package story

import (
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// calls is what the controller's metrics say of one method.
type calls struct {
	count int
	total time.Duration
}

func (c calls) since(before calls) calls {
	return calls{c.count - before.count, c.total - before.total}
}

func (c calls) mean() time.Duration { return c.total / time.Duration(max(c.count, 1)) }

// calls reads the metrics of the controller's driver on its node, as they are not for others.
func (s *step) calls(method string) calls {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	pods, err := s.api.CoreV1().Pods(driverNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=controller"})
	if err != nil || len(pods.Items) != 1 {
		s.Fatalf("%d controller pods: %v", len(pods.Items), err)
	}
	i := slices.IndexFunc(s.Nodes(), func(n *cluster.Node) bool { return n.Name == pods.Items[0].Spec.NodeName })
	if i < 0 {
		s.Fatalf("the controller is on no node: %q", pods.Items[0].Spec.NodeName)
	}
	text := s.must(s.Nodes()[i], "busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:29709/metrics")
	const name = "grpc_server_handling_seconds"
	return calls{
		count: int(sample(text, name+"_count{", `grpc_method="`+method+`"`)),
		total: time.Duration(sample(text, name+"_sum{", `grpc_method="`+method+`"`) * float64(time.Second)),
	}
}

// sample is the value of the first line of Prometheus's text format with this beginning and this label, or 0.
func sample(text, begins, label string) float64 {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, begins) && strings.Contains(line, label) {
			value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " ")+1:]), 64)
			if err == nil {
				return value
			}
		}
	}
	return 0
}
