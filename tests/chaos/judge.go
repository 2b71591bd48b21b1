// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// allowed says whether an error of a writer is one that its own client's end explains: it
// used a file that it had opened while that client lived, or nothing could be opened since.
func allowed(e entry, deaths []death) bool {
	return slices.ContainsFunc(deaths, func(d death) bool {
		return e.Opened.Device == d.device && e.Opened.At <= d.to && d.from <= e.Ended
	})
}

// judge returns what writers have seen that they should not have.
func (w *world) judge() error {
	var errs []error
	for _, c := range w.writers {
		for _, e := range c.journal.entries {
			switch {
			case e.Kind == wrong:
				errs = append(errs, fmt.Errorf("writer %d, %s: %s", c.id, w.during(e.Ended), e.Text))
			case e.Kind == failed && !allowed(e, w.deaths):
				errs = append(errs, fmt.Errorf("writer %d, %s: %s: %s after %v", c.id, w.during(e.Ended), e.Call, e.Errno, e.Ended.since(e.Began).Round(time.Millisecond)))
			}
		}
	}
	return errors.Join(first(errs)...)
}

// during names the event to which a moment belongs.
func (w *world) during(m moment) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, e := range slices.Backward(w.events) {
		if e.began <= m {
			return fmt.Sprintf("%v after the beginning of event %d (%s)", m.since(e.began).Round(time.Millisecond), i+1, e.kind.name)
		}
	}
	return "before the first event"
}

// lately is during for now.
func (w *world) lately() string { return w.during(now()) }

// nodeAway says that the node plugin is being killed and started again.
func (w *world) nodeAway() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events) > 0 && w.events[len(w.events)-1].kind == &kinds[nodePlugin]
}

// errors counts what writers saw of an event: calls that failed, and not again each time
// that one was repeated until the file could be opened.
func (w *world) errors(e *event) int {
	count := 0
	for _, c := range w.writers {
		for _, seen := range c.journal.entries {
			if seen.Kind == failed && seen.Ended >= e.began && seen.Ended <= e.settled {
				count++
			}
		}
	}
	return count
}

// stall is the longest time during an event without an acknowledgement to one of the writers.
func (w *world) stall(e *event) time.Duration {
	longest := time.Duration(0)
	for _, c := range w.writers {
		last := moment(0)
		for _, a := range c.journal.entries {
			if a.Kind != acknowledged {
				continue
			}
			if last != 0 {
				longest = max(longest, min(a.Ended, e.settled).since(max(last, e.began)))
			}
			last = a.Ended
		}
	}
	return longest
}
