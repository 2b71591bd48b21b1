// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"errors"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// What a worker does in one directory.

// enter opens a directory that was listed, and asks whether the walk may go there.
func (w worker) enter(d *Directory) bool {
	err := w.open(d)
	if err == nil {
		err = d.Use(func(dir *safepath.Dir) error {
			return w.guarded(func() error {
				if d.parent != nil && w.options.Own != nil {
					if err := w.options.Own(dir, d.stat); err != nil {
						return err
					}
				}
				return w.visitor.Enter(d, dir)
			})
		})
	}
	if err != nil && !errors.Is(err, ErrMoved) && ignoreNotExist(err) == nil && w.options.Vanished != nil {
		w.options.Vanished(d)
	}
	if errors.Is(err, errReplaced) || errors.Is(err, fs.SkipDir) {
		return false
	}
	w.fail(d, err)
	return err == nil
}

// errReplaced says that something else was visited in a directory's place.
var errReplaced = errors.New("it is no directory any more")

func (w worker) open(d *Directory) (err error) {
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
		w.held.keep(&d.place, dir)
		w.held.release(&d.place)
		return nil
	})
}

// read visits the entries of a directory and notes its subdirectories; if they are too many to be noted at once, the
// next of them, in the order of their names, when those are done.
func (w worker) read(d *Directory) {
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
func (w worker) entries(d *Directory, dir *safepath.Dir, names []string) {
	if len(names) == 0 {
		return
	}
	d.pending.Add(1)
	if !w.options.InTurn && w.spread(func(other worker) {
		w.fail(d, d.Use(func(dir *safepath.Dir) error { other.visit(d, dir, names); return nil }))
		again := w.complete(d)
		if again != nil {
			again.inline = false
		}
		other.run(again)
	}) {
		return
	}
	w.visit(d, dir, names)
	d.pending.Add(-1) // this worker holds another
}

func (w worker) visit(d *Directory, dir *safepath.Dir, names []string) {
	for _, name := range names {
		if w.over() {
			return
		}
		w.permit.GiveWay()
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

func (w worker) entry(d *Directory, dir *safepath.Dir, name string) error {
	err := w.guarded(func() error { return w.visitor.Entry(Worker{w}, d, dir, name) })
	if err == nil {
		w.progress.entries.Add(1)
	}
	return err
}
