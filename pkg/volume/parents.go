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
		held, claimErr := s.claimPath(holder{stamp: stamp, parent: true, path: ancestor})
		if err := ignoreExist(claimErr); err != nil {
			return nil, err
		}
		if !held.parent {
			return nil, s.nested(ancestor, held)
		}
		if err := parent.Mkdir(name, parentMode); ignoreExist(err) != nil {
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
		err := s.removeParent(ancestor)
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, errNotOurs) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var errNotOurs = errors.New("the driver did not make it")

// removeParent removes a parent that is empty and then its claim: one that is made again meanwhile, with the claim that
// there is, may stay behind then, empty and unclaimed.
func (s *Store) removeParent(ancestor string) error {
	parent, name, err := s.split(ancestor)
	if err == nil {
		defer parent.Close()
		err = s.removeOwnParent(parent, name, ancestor)
	} else if notThere(err) {
		err = nil
	}
	if err != nil {
		return err
	}
	held, err := s.holderOf(ancestor)
	if err != nil || !held.parent {
		return ignoreNotExist(err)
	}
	return s.releasePath(ancestor, func(h holder) bool { return h == held })
}

// removeOwnParent removes a directory that the driver made to hold volumes. Nothing with content can go.
func (s *Store) removeOwnParent(parent *safepath.Dir, name, ancestor string) error {
	dir, err := parent.Open(name)
	if errors.Is(err, safepath.ErrLink) || errors.Is(err, unix.ENOTDIR) {
		return errNotOurs
	}
	if err != nil {
		return ignoreNotExist(err)
	}
	defer dir.Close()
	held, err := s.whoHolds(dir, ancestor)
	if err != nil {
		return err
	}
	made := held.parent
	if held.stamp == "" {
		if made, err = isMarkedParent(dir); err != nil {
			return err
		}
	}
	if !made {
		return errNotOurs
	}
	return ignoreNotExist(parent.Rmdir(name))
}
