// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// writers are the pods of testdata/05-writers.yaml. Each writes 1, 2, 3, … to a file of its own, one record to a
// line, and reads each back.
type writers struct{ *namespace }

func (n *namespace) startWriters() writers {
	n.Helper()
	n.apply("05-writers.yaml")
	n.rolledOut(n.name, "deployment/writers")
	w := writers{n}
	w.writeOn()
	return w
}

func (w writers) in(part *step) writers { return writers{w.namespace.in(part)} }

func (w writers) pods() []corev1.Pod { return w.namespace.pods("writers") }

// state is which pods there are, and how often their containers were started again.
func (w writers) state() map[types.UID]int32 {
	w.Helper()
	state := map[types.UID]int32{}
	for _, p := range w.pods() {
		state[p.UID] = restarts(p)
	}
	return state
}

func restarts(p corev1.Pod) (count int32) {
	for _, c := range p.Status.ContainerStatuses {
		count += c.RestartCount
	}
	return count
}

// count is the last record that pod wrote, as reader sees it.
func (w writers) count(reader, pod string) (int, error) {
	output, err := w.try(reader, "tail -n 1 /data/"+pod)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(output)
}

// writeOn waits until each pod has written more than it had.
func (w writers) writeOn() {
	w.Helper()
	for _, p := range w.pods() {
		first := 0
		w.await(patience, p.Name+" writes on", func(context.Context) error {
			count, err := w.count(p.Name, p.Name)
			switch {
			case err != nil:
				return err
			case first == 0:
				first = count
				fallthrough
			case count <= first:
				return fmt.Errorf("it has written %d records, and has noted: %s", count, w.noted(p.Name))
			}
			return nil
		})
	}
}

// noted is what the pod says went wrong.
func (w writers) noted(pod string) string {
	output, err := w.try(pod, "tail -n 5 /errors/log 2>/dev/null || true")
	if err != nil {
		return err.Error()
	}
	return output
}

// areUndisturbed fails unless these are the pods of before, no container was started again, no record failed, and
// none is missing.
func (w writers) areUndisturbed(before map[types.UID]int32) {
	w.Helper()
	w.writeOn()
	pods := w.pods()
	if len(pods) != len(before) {
		w.Errorf("there are %d writers, not %d", len(pods), len(before))
	}
	for _, p := range pods {
		if count, old := before[p.UID]; !old || restarts(p) != count {
			w.Errorf("%s is another pod, or its container was started again", p.Name)
		}
		if noted := w.noted(p.Name); noted != "" {
			w.Errorf("%s had errors: %s", p.Name, noted)
		}
		w.isComplete(p.Name, p.Name, 0)
	}
}

// isComplete fails unless the records of pod are, as reader sees them, 1, 2, 3, … without a gap, at least this many.
func (w writers) isComplete(reader, pod string, atLeast int) {
	w.Helper()
	records := strings.Fields(w.sh(reader, "cat /data/"+pod))
	if len(records) < atLeast {
		w.Errorf("%s reads %d records of %s; it had written %d", reader, len(records), pod, atLeast)
	}
	for i, r := range records {
		if r != strconv.Itoa(i+1) {
			w.Errorf("record %d of %s is %q", i+1, pod, r)
			return
		}
	}
}
