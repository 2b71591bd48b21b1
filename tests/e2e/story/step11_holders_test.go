// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// Actions of a class where a program keeps files of a dead client open.
const (
	report  = "report"
	restart = "restart"
)

// filesHeldOpen is about a program that keeps its files open over its client's death and does not end: Prometheus stays up, and each sample
// is lost. It is named, and where the class says so, restarted.
func filesHeldOpen(s *step, node *cluster.Node) {
	n := s.namespace("story-11-prometheus")
	for _, action := range []string{report, restart} {
		n.template("11-prometheus.yaml", "ACTION", action, "NODE", node.Name, "NAMESPACE", n.name)
	}
	n.ready(report, restart)
	for _, action := range []string{report, restart} {
		n.startPrometheus(action)
		n.takesSamplesAfter(action, time.Now(), patience)
	}
	s.kill(node, s.clientOf(node))
	died := time.Now()

	n.Logf("it is said of pod %s after %s: %s", report, seconds(n.await(time.Minute, "the pod's health names the program", func(ctx context.Context) error {
		return n.tellsOfDeadFiles(ctx, report, true)
	})), n.kubectl("-n", n.name, "get", "pod", report, "-o", "jsonpath={.status.volumeHealth}"))
	if files := n.deadFiles(node, report); files < 1 {
		n.Errorf("the mounter counts %v dead files of the pod", files)
	}
	n.says("Pod", report, "prometheus", "restart")

	n.takesSamplesAfter(restart, died, 90*time.Second)
	n.Logf("samples of pod %s went on %s after its client's death; restarted %d times", restart, seconds(time.Since(died)), restarts(*n.pod(restart)))
	if lost, err := n.lastSample(report); err != nil || lost.After(died.Add(5*time.Second)) {
		n.Errorf("pod %s, which nobody restarted, has a sample of %s after the death: %v", report, lost.Sub(died), err)
	}
	if times := restarts(*n.pod(report)); times > 0 {
		n.Errorf("pod %s was restarted %d times", report, times)
	}

	n.sh(report, "kill 1") // the cure that was named
	n.takesSamplesAfter(report, time.Now(), patience)
	for _, action := range []string{report, restart} {
		n.await(patience, "nothing is said of pod "+action, func(ctx context.Context) error { return n.tellsOfDeadFiles(ctx, action, false) })
		if files := n.deadFiles(node, action); files > 0 {
			n.Errorf("the mounter counts %v dead files of pod %s", files, action)
		}
	}
}

// startPrometheus gives the pod the program that it waits for.
func (n *namespace) startPrometheus(pod string) {
	n.Helper()
	n.kubectl("-n", n.name, "cp", filepath.Join(repository, "bin/prometheus/usr/bin/prometheus"), pod+":/program/prometheus")
	n.sh(pod, "chmod +x /program/prometheus && touch /program/is-whole")
}

// takesSamplesAfter waits until Prometheus has one that is younger.
func (n *namespace) takesSamplesAfter(pod string, after time.Time, timeout time.Duration) {
	n.Helper()
	n.await(timeout, "the Prometheus of pod "+pod+" takes samples", func(context.Context) error {
		last, err := n.lastSample(pod)
		if err == nil && !last.After(after) {
			err = fmt.Errorf("its last is of %s", last)
		}
		return err
	})
}

// lastSample is when Prometheus has taken its last of itself.
func (n *namespace) lastSample(pod string) (time.Time, error) {
	text, err := n.try(pod, "wget -q -O - 'http://127.0.0.1:9090/api/v1/query?query=timestamp(up)'")
	if err != nil {
		return time.Time{}, err
	}
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || len(answer.Data.Result) == 0 {
		return time.Time{}, fmt.Errorf("no sample in %s: %w", text, err)
	}
	value, _ := answer.Data.Result[0].Value[1].(string)
	at, err := strconv.ParseFloat(value, 64)
	return time.UnixMilli(int64(at * 1000)), err
}

// tellsOfDeadFiles says whether the pod's status does, or does not.
func (n *namespace) tellsOfDeadFiles(ctx context.Context, pod string, want bool) error {
	p, err := n.api.CoreV1().Pods(n.name).Get(ctx, pod, metav1.GetOptions{})
	if err != nil {
		return err
	}
	conditions := conditionsOf(p)
	tells := slices.ContainsFunc(conditions, func(c string) bool { return strings.Contains(c, "DeadFiles") && strings.Contains(c, "prometheus") })
	if tells != want {
		return fmt.Errorf("its conditions are %q", conditions)
	}
	return nil
}

// deadFiles is the mounter's metric for a pod.
func (n *namespace) deadFiles(node *cluster.Node, pod string) float64 {
	n.Helper()
	text := n.must(node, "busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:29710/metrics")
	return sample(text, "glusterfs_csi_dead_files{", fmt.Sprintf("pod=%q", n.pod(pod).UID))
}
