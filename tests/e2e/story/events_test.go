// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

func (n *namespace) events(ctx context.Context, kind, name string) ([]corev1.Event, error) {
	selector := fields.Set{"involvedObject.kind": kind, "involvedObject.name": name}.AsSelector().String()
	list, err := n.api.CoreV1().Events(n.name).List(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// says waits until an event of the object holds all these phrases, logs it as an operator reads it, and returns it.
func (n *namespace) says(kind, name string, phrases ...string) string {
	n.Helper()
	var found string
	n.await(patience, fmt.Sprintf("an event of %s %s/%s says %q", kind, n.name, name, phrases), func(ctx context.Context) error {
		events, err := n.events(ctx, kind, name)
		if err != nil {
			return err
		}
		var said []string
		for _, e := range events {
			if holds(e.Message, phrases) {
				found = e.Message
				return nil
			}
			said = append(said, e.Reason+": "+e.Message)
		}
		return fmt.Errorf("its events:\n%s", strings.Join(said, "\n"))
	})
	n.Logf("%s %s: %s", kind, name, found)
	return found
}

func holds(text string, phrases []string) bool {
	for _, p := range phrases {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

func (n *namespace) lastEvent(ctx context.Context, kind, name string) string {
	events, err := n.events(ctx, kind, name)
	if err != nil || len(events) == 0 {
		return "no event"
	}
	last := events[0]
	for _, e := range events {
		if e.LastTimestamp.After(last.LastTimestamp.Time) {
			last = e
		}
	}
	return last.Reason + ": " + last.Message
}
