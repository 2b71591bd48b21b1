// SPDX-License-Identifier: Apache-2.0

package tree

import "github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"

// Mirror holds directories of another tree than the walk's, as a walk holds its own: at most heldDirectories
// descriptors, and those in use; each directory is reached again by its names, and is the same or not used.
type Mirror struct{ held held }

// NewMirror returns one that holds nothing.
func NewMirror() *Mirror {
	m := &Mirror{}
	m.held.limit, m.held.spacing = heldDirectories, 1
	return m
}

// Mirrored is a directory of a Mirror.
type Mirrored struct {
	place

	mirror *Mirror
}

// Top is the top of the tree. It stays the caller's.
func (m *Mirror) Top(dir *safepath.Dir) *Mirrored {
	return &Mirrored{mirror: m, place: place{kept: keptDescriptor{dir: dir, users: 1}}}
}

// Subdirectory opens a directory by its name.
func (d *Mirrored) Subdirectory(name string) (*Mirrored, error) {
	child := &Mirrored{mirror: d.mirror, place: place{parent: &d.place, name: name, depth: d.depth + 1}}
	err := d.Use(func(parent *safepath.Dir) error {
		dir, err := parent.Subdirectory(name)
		if err != nil {
			return err
		}
		if child.stat, err = dir.Stat(); err != nil {
			dir.Close()
			return err
		}
		d.mirror.held.keep(&child.place, dir)
		d.mirror.held.release(&child.place)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return child, nil
}

// Use calls fn with the directory held, reaching it again if its descriptor was let go: ErrMoved if it is not there
// any more.
func (d *Mirrored) Use(fn func(dir *safepath.Dir) error) error {
	return d.mirror.held.withDirectory(&d.place, fn)
}

// Forget lets go of a directory that is done with, after all below it.
func (d *Mirrored) Forget() { d.mirror.held.forget(&d.place) }

// Close lets go of all directories, when nobody uses one any more.
func (m *Mirror) Close() {
	for len(m.held.order) > 0 {
		m.held.forget(m.held.order[0])
	}
}
