// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// state is how far the worker that goes through a directory has come.
type state int

const (
	found   state = iota
	refused       // not entered
	entered       // to be read
	read          // its subdirectories are to be walked
)

// walk is one call of Walk. No worker recurses, so that a deep tree takes heap and not stack: each goes through a
// chain of directories by their parents. A worker gives batches of entries and whole subdirectories to new workers as
// long as there may be more of them, and else does them itself.
type walk struct {
	ctx      context.Context //nolint:containedctx // of the one call that it is
	visitor  Visitor
	options  Options
	others   chan struct{} // holds a token for each worker beside the first
	group    sync.WaitGroup
	held     held
	names    atomic.Int64 // bytes of names that may still be kept
	errs     errorList
	stopped  atomic.Bool
	progress progress
}

func newWalk(ctx context.Context, v Visitor, o Options) *walk {
	w := &walk{ctx: ctx, visitor: v, options: o, others: make(chan struct{}, max(o.Workers-1, 0))}
	w.held.limit, w.held.spacing = heldDirectories, 1
	w.names.Store(namesKept)
	return w
}

func (w *walk) walk(top *safepath.Dir) error {
	stop := w.progress.report(w.ctx, w.options.Task, top.Name(), reportPeriod)
	defer stop()
	d := &Directory{walk: w, place: place{kept: keptDescriptor{dir: top, users: 1}}}
	d.pending.Store(1)
	worker{w, w.options.Permit}.run(d)
	w.options.Permit.Without(w.group.Wait)
	if w.ctx.Err() != nil {
		return errors.Join(context.Cause(w.ctx), w.errs.result())
	}
	return w.errs.result()
}

// worker is one goroutine of a walk.
type worker struct {
	*walk

	permit *permits.Permit
}

// Worker is the goroutine that visits an entry.
type Worker struct{ w worker }

// GiveWay is for a visit that takes long: if its permit is waited for, another has it first.
func (w Worker) GiveWay() { w.w.permit.GiveWay() }

// Without calls wait without a permit: for who waits for another visit.
func (w Worker) Without(wait func()) { w.w.permit.Without(wait) }

func (w worker) run(d *Directory) {
	for d != nil {
		d = w.step(d)
	}
}

// spread runs task on another worker if there may be one more.
func (w worker) spread(task func(worker)) bool {
	select {
	case w.others <- struct{}{}:
	default:
		return false
	}
	permit, free := w.permit.Another()
	if !free {
		<-w.others
		return false
	}
	w.group.Go(func() {
		defer func() { <-w.others }()
		defer permit.Release()
		task(worker{w.walk, permit})
	})
	return true
}

// over says that nothing more is to be begun.
func (w *walk) over() bool { return w.stopped.Load() || w.ctx.Err() != nil }

// step does the next thing in d and returns the directory that the worker goes on with, nil if another worker does.
func (w worker) step(d *Directory) *Directory {
	if !w.over() {
		w.permit.GiveWay()
		switch {
		case d.state == found:
			d.state = refused
			if w.enter(d) {
				d.state = entered
			}
			return d
		case d.state == entered:
			d.state = read
			w.read(d)
			return d
		case d.state == read && len(d.subs) > 0:
			child := w.next(d)
			if w.spread(func(other worker) { other.run(child) }) {
				return d
			}
			child.inline = true
			return child
		case d.state == read && d.cut:
			d.state = entered
			return d
		}
	}
	var parent *Directory
	if d.inline {
		parent = d.parent // it is not completed before this worker says so
	}
	again := w.complete(d)
	if again == nil {
		return parent
	}
	again.inline = parent != nil
	return again
}

// next takes a subdirectory off those to be walked.
func (w *walk) next(d *Directory) *Directory {
	child := &Directory{walk: w, parent: d, length: d.length + 1 + len(d.subs[0])}
	child.place = place{parent: &d.place, name: d.subs[0], depth: d.depth + 1}
	d.subs[0] = ""
	d.subs = d.subs[1:]
	w.names.Add(sizeOf(child.name))
	child.pending.Store(1)
	d.pending.Add(1)
	return child
}

// complete ends one of the things under way in d. After the last one d is left, and with it a thing of its parent
// ends. It returns a directory that is to be gone through once more.
func (w *walk) complete(d *Directory) *Directory {
	for d != nil && d.pending.Add(-1) == 0 {
		if w.leave(d) {
			d.pending.Store(1)
			return d
		}
		parent := d.parent
		w.held.forget(&d.place)
		if parent != nil && d.Failed() {
			parent.failed.Store(true)
		}
		d = parent
	}
	return nil
}

func (w *walk) leave(d *Directory) (again bool) {
	if d.state == refused || w.over() {
		return false
	}
	if d.late != nil { // nobody else is in d any more
		d.subs, d.late = d.late, nil
		for _, name := range d.subs {
			w.names.Add(-sizeOf(name))
		}
		d.state = read
		return true
	}
	d.passes++
	err := w.guarded(func() (err error) {
		again, err = w.visitor.Leave(d)
		return err
	})
	if err != nil {
		w.fail(d, err)
		return false
	}
	if again {
		d.state = entered
		return true
	}
	w.progress.entries.Add(1)
	return false
}

// guarded makes an error of a panic, which would else end the process from a goroutine that nobody watches.
func (w *walk) guarded(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn()
}

// fail notes an error of d or of something in it.
func (w *walk) fail(d *Directory, err error) {
	if errors.Is(err, ErrMoved) && w.options.IgnoreMoved || !errors.Is(err, ErrMoved) && ignoreNotExist(err) == nil {
		return
	}
	d.failed.Store(true)
	w.errs.add(err)
	if isOfFileSystem(err) {
		w.stopped.Store(true)
	}
}
