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

func ancestors(p string) []string {
	var list []string
	for at := path.Dir(p); at != "."; at = path.Dir(at) {
		list = append(list, at)
	}
	slices.Reverse(list)
	return list
}

// missingParents returns the ancestors of p that are not there, the outermost first.
func (s *Store) missingParents(p string) ([]string, error) {
	for i, ancestor := range ancestors(p) {
		dir, err := s.root.Open(ancestor)
		if errors.Is(err, fs.ErrNotExist) {
			return ancestors(p)[i:], nil
		}
		if err != nil {
			return nil, notADirectory(err)
		}
		dir.Close()
	}
	return nil, nil
}

// makeParents returns the directory that is to hold the volume, making the ancestors
// that are missing and marking them as the driver's.
func (s *Store) makeParents(r Record) (*safepath.Dir, error) {
	return s.openParents(r.Path, func(at *safepath.Dir, ancestor string) (*safepath.Dir, error) {
		name := path.Base(ancestor)
		err := at.Mkdir(name, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		s.step(stepParents)
		dir, openErr := at.Open(name)
		if err != nil || openErr != nil {
			return dir, openErr
		}
		// It may have been there when the volume was claimed, and gone with another since.
		if err := dir.CreateXattr(parentXattr, "1"); err != nil && !errors.Is(err, fs.ErrExist) {
			dir.Close()
			return nil, err
		}
		return dir, nil
	}, r.NewParents...)
}

// openParents walks to the directory that holds p, past no volume's mark. A missing
// ancestor is made by create where there is one; those in own get the parent mark.
func (s *Store) openParents(p string, create func(*safepath.Dir, string) (*safepath.Dir, error), own ...string) (*safepath.Dir, error) {
	at, err := s.root.Open(".")
	if err != nil {
		return nil, err
	}
	for _, ancestor := range ancestors(p) {
		next, err := at.Open(path.Base(ancestor))
		if errors.Is(err, fs.ErrNotExist) && create != nil {
			next, err = create(at, ancestor)
		}
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
		if err := s.checkParent(at, ancestor, slices.Contains(own, ancestor)); err != nil {
			at.Close()
			return nil, err
		}
	}
	return at, nil
}

// whose returns the mark of the volume that a directory is, and whether it is one that
// is being made. A volume's directory is fresh until after it is marked: looking in this
// order sees at least one of the two.
func whose(dir *safepath.Dir) (mark string, making bool, err error) {
	st, err := dir.Stat()
	if err != nil || hasFreshMode(st) {
		return "", err == nil, err
	}
	mark, err = dir.Xattr(markXattr)
	return mark, false, err
}

func (s *Store) checkParent(dir *safepath.Dir, ancestor string, own bool) error {
	mark, making, err := whose(dir)
	switch {
	case err != nil:
		return err
	case making:
		return fmt.Errorf("directory %s on %s is becoming a volume: %w: %w", ancestor, s.volume, ErrNested, ErrBusy)
	case mark != "":
		return fmt.Errorf("directory %s on %s is volume %s: %w", ancestor, s.volume, mark, ErrNested)
	}
	if !own {
		return nil
	}
	if err := dir.CreateXattr(parentXattr, "1"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// removeParents removes the volume's ancestors that the driver made and that hold
// nothing any more, the innermost first. They are marked, or their making was cut short
// and is in the record.
func (s *Store) removeParents(r Record) error {
	for _, ancestor := range slices.Backward(ancestors(r.Path)) {
		holder, name, err := s.split(ancestor)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = removeParent(holder, name, slices.Contains(r.NewParents, ancestor))
		holder.Close()
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, errNotOurs) {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

var errNotOurs = errors.New("the driver did not make it")

func removeParent(holder *safepath.Dir, name string, own bool) error {
	dir, err := holder.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	volume, making, err := whose(dir)
	if err != nil {
		return err
	}
	parent, err := dir.Xattr(parentXattr)
	if err != nil {
		return err
	}
	if volume != "" || making || parent == "" && !own {
		return errNotOurs
	}
	return holder.Rmdir(name)
}
