// SPDX-License-Identifier: Apache-2.0

package permits

import (
	"cmp"
	"time"
)

// waiter is one who waits for a permit.
type waiter struct {
	deadline time.Time
	came     uint64
	ready    chan struct{} // closed when it has one
	index    int           // in its line, or served
}

const served = -1

func (w *waiter) before(other *waiter) bool {
	return cmp.Or(w.deadline.Compare(other.deadline), cmp.Compare(w.came, other.came)) < 0
}

// waiters is a heap, for container/heap.
type waiters []*waiter //nolint:recvcheck // as container/heap's own examples: two methods change its length

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].before(w[j]) }
func (w waiters) Swap(i, j int)      { w[i], w[j] = w[j], w[i]; w[i].index, w[j].index = i, j }

func (w *waiters) Push(x any) {
	added, _ := x.(*waiter)
	added.index = len(*w)
	*w = append(*w, added)
}

func (w *waiters) Pop() any {
	last := len(*w) - 1
	popped := (*w)[last]
	popped.index = served
	(*w)[last] = nil
	*w = (*w)[:last]
	return popped
}
