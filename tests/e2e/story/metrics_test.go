// SPDX-License-Identifier: Apache-2.0

package story

import (
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// calls reads the metrics of the controller's driver, as Prometheus would.
func (s *step) calls(method string) calls {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	pods, err := s.api.CoreV1().Pods(driverNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=controller"})
	if err != nil || len(pods.Items) != 1 {
		s.Fatalf("%d controller pods: %v", len(pods.Items), err)
	}
	text, err := s.api.CoreV1().Pods(driverNamespace).ProxyGet("http", pods.Items[0].Name, "9809", "/metrics", nil).DoRaw(ctx)
	if err != nil {
		s.Fatal(err)
	}
	const name = "grpc_server_handling_seconds"
	return calls{
		count: int(sample(string(text), name+"_count{", `grpc_method="`+method+`"`)),
		total: time.Duration(sample(string(text), name+"_sum{", `grpc_method="`+method+`"`) * float64(time.Second)),
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
