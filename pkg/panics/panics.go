// SPDX-License-Identifier: Apache-2.0

// Package panics keeps a bug in one piece of a process's own work from ending the process: the end of a mounter ends
// every client of its node, and its next start would meet the same bug.
//
// A goroutine that the mounter starts for its own work, and that does more than wait, either Catches what the work
// panics with, or hands it to the one who waits for the goroutine (Group, Try with Again), who is caught in turn.
package panics

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"k8s.io/klog/v2"
)

// Panic is what some work has panicked with.
type Panic struct {
	Value any
	Stack string // of the goroutine that panicked
}

// Err is an error of one line, without the stack, for who has waited for the work.
func (p *Panic) Err() error {
	return fmt.Errorf("this is a bug, and the log has its stack: panic: %v", p.Value)
}

// Logged is Err for what Try has caught, which it logs. what names the work.
func (p *Panic) Logged(what string) error {
	p.log(klog.Background(), what)
	return p.Err()
}

// Again panics with the same on the goroutine that waited for the work. It does nothing for nil.
func (p *Panic) Again() {
	if p != nil {
		panic(p)
	}
}

// Try runs work and returns what it panicked with, or nil.
func Try(work func()) (caught *Panic) {
	defer func() {
		switch value := recover().(type) {
		case nil:
		case *Panic: // of a goroutine that work has waited for
			caught = value
		default:
			caught = &Panic{Value: value, Stack: string(debug.Stack())}
		}
	}()
	work()
	return nil
}

// Catch is Try that logs what it catches, with its stack. what names the work.
func Catch(ctx context.Context, what string, work func()) *Panic {
	caught := Try(work)
	if caught != nil {
		caught.log(klog.FromContext(ctx), what)
	}
	return caught
}

func (p *Panic) log(logger klog.Logger, what string) {
	logger.Error(nil, "Panic, which is a bug; the process goes on", "in", what, "panic", p.Value, "stack", p.Stack)
}

// Group is goroutines that somebody waits for. Its zero value has none.
type Group struct {
	all sync.WaitGroup

	mu     sync.Mutex
	caught *Panic // of the first one that panicked
}

// Go runs work on a goroutine of the group.
func (g *Group) Go(work func()) {
	g.all.Go(func() {
		if caught := Try(work); caught != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.caught == nil {
				g.caught = caught
			}
		}
	})
}

// Wait waits until all have ended, and panics if one of them has.
func (g *Group) Wait() {
	g.all.Wait()
	g.caught.Again()
}
