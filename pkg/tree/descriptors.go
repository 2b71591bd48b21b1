// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// heldDirectories is how many directories a walk holds open, beside those in use at the moment. Another than the top's
// descriptor can always be let go, as the directory is reached again by its names.
const heldDirectories = 128

// place is where a directory is in its tree, and its descriptor as long as that is held.
type place struct {
	parent *place
	name   string
	depth  int
	stat   unix.Stat_t
	kept   keptDescriptor
}

type keptDescriptor struct {
	dir   *safepath.Dir
	users int // of whoever uses it now
}

// held are the descriptors of the directories on the way to where the workers are. Those that were not used for longest
// are let go first. On the way back up from the bottom of a deep tree that would have each one reached from the top
// again, so up to half of them are kept at even distances: every spacing-th level.
type held struct {
	mu      sync.Mutex
	limit   int
	order   []*place // the longest unused first; without the top
	spacing int
}

// acquire returns the directory's descriptor, which is valid until release. ErrMoved if it cannot be reached any more.
func (h *held) acquire(d *place) (*safepath.Dir, error) {
	h.mu.Lock()
	var way []*place
	at := d
	for ; at.kept.dir == nil; at = at.parent {
		way = append(way, at)
	}
	h.use(at)
	h.mu.Unlock()
	for _, next := range slices.Backward(way) {
		dir, err := reopen(at.kept.dir, next)
		if err == nil {
			h.keep(next, dir)
		}
		h.release(at)
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at.kept.dir, nil
}

// reopen opens a directory by its name, which may be another's by now.
func reopen(parent *safepath.Dir, d *place) (*safepath.Dir, error) {
	dir, err := parent.Subdirectory(d.name)
	if err != nil {
		if ignoreNotExist(err) == nil || isNoDirectory(err) {
			err = fmt.Errorf("%w: %w", err, ErrMoved)
		}
		return nil, err
	}
	st, err := dir.Stat()
	if err == nil && (st.Dev != d.stat.Dev || st.Ino != d.stat.Ino) {
		err = fmt.Errorf("%s: %w", dir.Name(), ErrMoved)
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// keep holds what was opened, for one user.
func (h *held) keep(d *place, dir *safepath.Dir) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.kept.dir != nil { // another worker was faster
		dir.Close()
	} else {
		d.kept.dir = dir
		h.order = append(h.order, d)
	}
	h.use(d)
	h.shrink()
}

// withDirectory calls fn with the directory held.
func (h *held) withDirectory(d *place, fn func(dir *safepath.Dir) error) error {
	dir, err := h.acquire(d)
	if err != nil {
		return err
	}
	defer h.release(d)
	return fn(dir)
}

func (h *held) use(d *place) {
	d.kept.users++
	if i := slices.Index(h.order, d); i >= 0 {
		h.order = append(slices.Delete(h.order, i, i+1), d)
	}
}

func (h *held) release(d *place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d.kept.users--
	h.shrink()
}

// forget lets go of a directory that is done with.
func (h *held) forget(d *place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.letGo(d)
}

func (h *held) letGo(d *place) {
	if i := slices.Index(h.order, d); i >= 0 {
		h.order = slices.Delete(h.order, i, i+1)
		d.kept.dir.Close()
		d.kept = keptDescriptor{}
	}
}

// shrink lets go of as many as are held beyond the limit and in use by nobody.
func (h *held) shrink() {
	for len(h.order) > h.limit {
		var unused *place
		spaced := 0
		for _, d := range h.order {
			if d.depth%h.spacing == 0 {
				spaced++
			} else if unused == nil && d.kept.users == 0 {
				unused = d
			}
		}
		if spaced > h.limit/2 {
			h.spacing *= 2
			continue
		}
		if unused == nil {
			return // each is in use, by a worker that holds no more than a few
		}
		h.letGo(unused)
	}
}
