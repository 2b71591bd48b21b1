// SPDX-License-Identifier: Apache-2.0

// Package panics keeps a bug in one piece of a process's own work from ending the process: while a mounter is away nobody
// repairs what its node's clients had mounted, where it is a container's without more they end with it, and its next start would meet the same bug.
//
// A goroutine that the mounter starts for its own work, and that does more than wait, either Catches what the work
// panics with, or hands it to the one who waits for the goroutine (Group, Try with Again), who is caught in turn.
package panics

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

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

// Again panics with the same on the goroutine that waited for the work. It does nothing for nil.
func (p *Panic) Again() {
	if p != nil {
		panic(p)
	}
}

// Logged is Err for what Try has caught, which it logs. what names the work.
func (p *Panic) Logged(what string) error {
	p.log(klog.Background(), what)
	return p.Err()
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

// Guard returns the error of work, or that of what it panicked with, which it logs, with its stack. what names the work.
func Guard(what string, work func() error) (err error) {
	if caught := Try(func() { err = work() }); caught != nil {
		return caught.Logged(what)
	}
	return err
}

func (p *Panic) log(logger klog.Logger, what string) {
	logger.Error(nil, "Panic, which is a bug; the process goes on", "in", what, "panic", p.Value, "stack", p.Stack)
}

// Every does a round of some work after each interval, until ctx is done, and Catches what a round panics with. what
// names the work.
func Every(ctx context.Context, interval time.Duration, what string, round func(context.Context)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if ctx.Err() != nil { // both had happened, and select takes either
				return
			}
			Catch(ctx, what, func() { round(ctx) })
		}
	}
}

// EveryFromNow is Every that begins with a round.
func EveryFromNow(ctx context.Context, interval time.Duration, what string, round func(context.Context)) {
	Catch(ctx, what, func() { round(ctx) })
	Every(ctx, interval, what, round)
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
