// SPDX-License-Identifier: Apache-2.0

package client

import (
	"sync"
)

// guarded is a value that can be reached only under its lock: what a method of T may rely on needs no word.
type guarded[T any] struct {
	mu    sync.Mutex
	value T
}

// with takes one step under the lock. A step waits for nothing.
func (g *guarded[T]) with(step func(*T)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	step(&g.value)
}

// from is with for a step that has a result.
func from[T, R any](g *guarded[T], step func(*T) R) (result R) {
	g.with(func(value *T) { result = step(value) })
	return result
}
