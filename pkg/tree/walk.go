// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

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

// walk is one call of Walk. No worker recurses, so that a deep tree takes heap and not stack: each goes through a chain of
// directories by their parents. A worker gives batches of entries and whole subdirectories to new workers as long as there
// may be more of them, and else does them itself.
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
	d := &Directory{walk: w, kept: keptDescriptor{dir: top, users: 1}}
	d.pending.Store(1)
	w.run(d)
	w.group.Wait()
	if w.ctx.Err() != nil {
		return errors.Join(context.Cause(w.ctx), w.errs.result())
	}
	return w.errs.result()
}

func (w *walk) run(d *Directory) {
	for d != nil {
		d = w.step(d)
	}
}

// spread runs task on another worker if there may be one more.
func (w *walk) spread(task func()) bool {
	select {
	case w.others <- struct{}{}:
		w.group.Go(func() {
			defer func() { <-w.others }()
			task()
		})
		return true
	default:
		return false
	}
}

// over says that nothing more is to be begun.
func (w *walk) over() bool { return w.stopped.Load() || w.ctx.Err() != nil }

// step does the next thing in d and returns the directory that the worker goes on with, nil if another worker does.
func (w *walk) step(d *Directory) *Directory {
	if !w.over() {
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
			if w.spread(func() { w.run(child) }) {
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
	child := &Directory{walk: w, parent: d, name: d.subs[0], depth: d.depth + 1, length: d.length + 1 + len(d.subs[0])}
	d.subs[0] = ""
	d.subs = d.subs[1:]
	w.names.Add(sizeOf(child.name))
	child.pending.Store(1)
	d.pending.Add(1)
	return child
}

// complete ends one of the things under way in d. After the last one d is left, and with it a thing of its parent ends. It
// returns a directory that is to be gone through once more.
func (w *walk) complete(d *Directory) *Directory {
	for d != nil && d.pending.Add(-1) == 0 {
		if w.leave(d) {
			d.pending.Store(1)
			return d
		}
		parent := d.parent
		w.held.forget(d)
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

// enter opens a directory that was listed, and asks whether the walk may go there.
func (w *walk) enter(d *Directory) bool {
	err := w.open(d)
	if err == nil {
		err = d.Use(func(dir *safepath.Dir) error {
			if d.parent != nil && w.options.Own != nil {
				if err := w.options.Own(dir, d.stat); err != nil {
					return err
				}
			}
			return w.guarded(func() error { return w.visitor.Enter(d, dir) })
		})
	}
	if errors.Is(err, errReplaced) || errors.Is(err, fs.SkipDir) {
		return false
	}
	w.fail(d, err)
	return err == nil
}

// errReplaced says that something else was visited in a directory's place.
var errReplaced = errors.New("it is no directory any more")

func (w *walk) open(d *Directory) (err error) {
	if d.parent == nil {
		d.stat, err = d.kept.dir.Stat()
		return err
	}
	return d.parent.Use(func(parent *safepath.Dir) error {
		dir, err := parent.Subdirectory(d.name)
		if isNoDirectory(err) && !isDirectory(parent, safepath.Listed{Name: d.name}) {
			// Replaced since it was listed. That it is a directory again is not followed up, but an error.
			if err := w.entry(d.parent, parent, d.name); err != nil {
				return err
			}
			return errReplaced
		}
		if err != nil {
			return err
		}
		if d.stat, err = dir.Stat(); err != nil {
			dir.Close()
			return err
		}
		w.held.keep(d, dir)
		w.held.release(d)
		return nil
	})
}

// read visits the entries of a directory and notes its subdirectories; if they are too many to be noted at once, the next of
// them, in the order of their names, when those are done.
func (w *walk) read(d *Directory) {
	first := !d.cut
	if first {
		d.after = ""
	}
	chosen := selection{after: d.after, limit: max(w.names.Load()/namesShare, namesLeast)}
	w.fail(d, d.Use(func(dir *safepath.Dir) error {
		list, err := dir.List(w.options.Batch)
		if err != nil {
			return err
		}
		defer list.Close()
		for !w.over() {
			listed, err := list.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			var entries []string
			for _, each := range listed {
				if isDirectory(dir, each) {
					chosen.add(each.Name)
				} else if first {
					entries = append(entries, each.Name)
				}
			}
			w.entries(d, dir, entries)
		}
		return nil
	}))
	d.subs, d.cut = chosen.names()
	if d.cut {
		d.after = d.subs[len(d.subs)-1]
	}
	for _, name := range d.subs {
		w.names.Add(-sizeOf(name))
	}
}

func isDirectory(dir *safepath.Dir, listed safepath.Listed) bool {
	kind := listed.Kind
	if kind == 0 {
		st, _ := dir.StatEntry(listed.Name)
		kind = st.Mode & unix.S_IFMT
	}
	return kind == unix.S_IFDIR
}

// entries visits a batch, on another worker if there may be one more.
func (w *walk) entries(d *Directory, dir *safepath.Dir, names []string) {
	if len(names) == 0 {
		return
	}
	d.pending.Add(1)
	if !w.options.InTurn && w.spread(func() {
		w.fail(d, d.Use(func(dir *safepath.Dir) error { w.visit(d, dir, names); return nil }))
		again := w.complete(d)
		if again != nil {
			again.inline = false
		}
		w.run(again)
	}) {
		return
	}
	w.visit(d, dir, names)
	d.pending.Add(-1) // this worker holds another
}

func (w *walk) visit(d *Directory, dir *safepath.Dir, names []string) {
	for _, name := range names {
		if w.over() {
			return
		}
		err := w.entry(d, dir, name)
		if errors.Is(err, unix.EISDIR) {
			d.mu.Lock()
			d.late = append(d.late, name)
			d.mu.Unlock()
			continue
		}
		w.fail(d, err)
	}
}

func (w *walk) entry(d *Directory, dir *safepath.Dir, name string) error {
	err := w.guarded(func() error { return w.visitor.Entry(d, dir, name) })
	if err == nil {
		w.progress.entries.Add(1)
	}
	return err
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
