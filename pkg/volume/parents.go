// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const stepParent = "create: parent made"

// parentMode is the mode of a directory that the driver makes to hold volumes.
const parentMode = 0o755

func ancestors(p string) []string {
	var list []string
	for at := path.Dir(p); at != "."; at = path.Dir(at) {
		list = append(list, at)
	}
	slices.Reverse(list)
	return list
}

// makeParents returns the directory that is to hold the volume at p, making the ancestors that are missing. Their
// paths are claimed before, so that none becomes a volume. ErrNested if it is in a volume.
func (s *Store) makeParents(p, stamp string) (*safepath.Dir, error) {
	at, err := s.root.Open(".")
	if err != nil {
		return nil, err
	}
	for _, ancestor := range ancestors(p) {
		next, err := s.makeParent(at, ancestor, stamp)
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

func (s *Store) makeParent(parent *safepath.Dir, ancestor, stamp string) (*safepath.Dir, error) {
	name := path.Base(ancestor)
	dir, err := parent.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		// Before, so that it does not become a volume, and after, as a claim that was there may just have been given up
		// with the parent before.
		err = s.claimParent(ancestor, stamp)
		if err == nil {
			err = ignoreExist(parent.Mkdir(name, parentMode))
		}
		if err == nil {
			err = s.claimParent(ancestor, stamp)
		}
		if err != nil {
			return nil, err
		}
		s.step(stepParent)
		dir, err = parent.Open(name)
	}
	if err != nil {
		return nil, notADirectory(err)
	}
	// Whoever makes a volume claims its path before: so a directory that is one is seen to be one.
	held, err := s.whoHolds(dir, ancestor)
	if err == nil && held.stamp != "" && !held.parent {
		err = s.nested(ancestor, held)
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

func (s *Store) claimParent(ancestor, stamp string) error {
	held, err := s.claimPath(holder{stamp: stamp, parent: true, path: ancestor})
	if err := ignoreExist(err); err != nil {
		return err
	}
	if !held.parent {
		return s.nested(ancestor, held)
	}
	return nil
}

func (s *Store) nested(ancestor string, held holder) error {
	return fmt.Errorf("directory %s on %s is volume %s: %w", ancestor, s.volume, stampedID(held.stamp), ErrNested)
}

// whoHolds returns the holder of the directory at a path, by its claim or by the mark of a volume of schema 1 that has
// not been taken over. It is no holder if nobody has it.
func (s *Store) whoHolds(dir *safepath.Dir, p string) (holder, error) {
	held, err := s.holderOf(p)
	if err == nil || ignoreNotExist(err) != nil {
		return held, err
	}
	mark, err := dir.Xattr(markXattr)
	return holder{stamp: mark}, err
}

// removeParents removes the volume's ancestors that the driver made and that hold
// nothing any more, the innermost first.
func (s *Store) removeParents(r Record) error {
	for _, ancestor := range slices.Backward(ancestors(r.Path)) {
		removed, err := s.removeParent(ancestor)
		if err != nil || !removed {
			return err
		}
	}
	return nil
}

// removeParent removes a parent that the driver made, if it is empty, and then its claim, unless it has been made again
// meanwhile (makeParent claims before and after). Nothing with content can go.
func (s *Store) removeParent(ancestor string) (removed bool, err error) {
	held, err := s.holderOf(ancestor)
	if ignoreNotExist(err) != nil {
		return false, err
	}
	if err != nil {
		return s.removeMarkedParent(ancestor)
	}
	if !held.parent {
		return false, nil
	}
	removed, err = s.removeEmptyParent(ancestor)
	if err != nil || !removed {
		return false, err
	}
	return true, s.givePathUp(ancestor, func(h holder) (bool, error) {
		if h != held {
			return false, nil
		}
		return s.isFree(ancestor)
	})
}

// removeEmptyParent says whether the directory is not there any more.
func (s *Store) removeEmptyParent(ancestor string) (bool, error) {
	err := s.afresh(ancestor, func() error { // another controller may just have made it again
		parent, name, err := s.split(ancestor)
		if err != nil {
			return err
		}
		defer parent.Close()
		return parent.Rmdir(name)
	})
	switch {
	case err == nil, notThere(err):
		return true, nil
	case errors.Is(err, unix.ENOTEMPTY):
		return false, nil
	}
	return false, err
}
