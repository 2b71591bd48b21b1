// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// undo takes back a creation that failed, unless another controller has finished it
// meanwhile. Nothing that holds data can go: only an empty directory is removed.
func (s *Store) undo(r Record) error {
	have, err := s.Get(r.ID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && have.State != Creating {
		return nil
	}
	if err == nil {
		err = s.removeEmpty(r)
	}
	if err == nil {
		err = s.removeParents(r)
	}
	if err == nil {
		err = s.drop(r.ID)
	}
	if err != nil {
		return fmt.Errorf("and it could not be undone yet: %w", err)
	}
	return nil
}

func (s *Store) removeEmpty(r Record) error {
	parent, name, err := s.split(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, safepath.ErrLink) || errors.Is(err, unix.ENOTDIR) {
		return nil // nothing can have been made behind it
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	dir, err := parent.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, safepath.ErrLink), errors.Is(err, unix.ENOTDIR):
		return nil
	case err != nil:
		return err
	}
	defer dir.Close()
	if err := s.isOwn(dir, r); errors.Is(err, ErrForeign) {
		return nil
	} else if err != nil {
		return err
	}
	err = parent.Rmdir(name)
	if errors.Is(err, unix.ENOTEMPTY) {
		// Another volume was made in it at the same moment: it stays, as a parent.
		return s.becomeParent(dir)
	}
	return err
}

func (s *Store) becomeParent(dir *safepath.Dir) error {
	if err := s.holdsVolume(dir); err != nil {
		return err
	}
	if err := dir.CreateXattr(parentXattr, "1"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := dir.Chmod(0o755); err != nil {
		return err
	}
	return dir.RemoveXattr(markXattr)
}

// holdsVolume returns nil if what is in the directory is a volume or leads to one, and not a
// pod's data.
func (s *Store) holdsVolume(dir *safepath.Dir) error {
	names, err := dir.Names(1)
	if err != nil || len(names) == 0 {
		return err
	}
	inner, err := dir.Open(names[0])
	if err != nil {
		return notADirectory(err)
	}
	defer inner.Close()
	mark, making, err := whose(inner)
	if err != nil || mark != "" || making {
		return err
	}
	parent, err := inner.Xattr(parentXattr)
	if err == nil && parent == "" {
		err = fmt.Errorf("directory %s has data in it: %w", dir.Name(), ErrForeign)
	}
	return err
}
