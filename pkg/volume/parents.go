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

// parentMode is the mode of a parent, freshParent that of one from its mkdir until it has its
// mark. Nobody else would make one like it, so a parent is the driver's own from the moment
// that it exists, wherever its maker is killed.
const (
	parentMode  = 0o755
	freshParent = 0o1100
)

func ancestors(p string) []string {
	var list []string
	for at := path.Dir(p); at != "."; at = path.Dir(at) {
		list = append(list, at)
	}
	slices.Reverse(list)
	return list
}

// makeParents returns the directory that is to hold the volume at p, making the ancestors
// that are missing and marking them as the driver's. ErrNested if it is in a volume.
func (s *Store) makeParents(p string) (*safepath.Dir, error) {
	at, err := s.root.Open(".")
	if err != nil {
		return nil, err
	}
	for _, ancestor := range ancestors(p) {
		next, err := s.makeParent(at, ancestor)
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

func (s *Store) makeParent(holder *safepath.Dir, ancestor string) (*safepath.Dir, error) {
	name := path.Base(ancestor)
	dir, err := holder.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := holder.Mkdir(name, freshParent); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		s.step(stepParent)
		dir, err = holder.Open(name)
	}
	if err != nil {
		return nil, notADirectory(err)
	}
	if err := s.beParent(dir, ancestor); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// beParent refuses a volume, and finishes the making of a parent.
func (s *Store) beParent(dir *safepath.Dir, ancestor string) error {
	mark, making, err := whose(dir)
	switch {
	case err != nil:
		return err
	case making:
		return fmt.Errorf("directory %s on %s is becoming a volume: %w: %w", ancestor, s.volume, ErrNested, ErrBusy)
	case mark != "":
		return fmt.Errorf("directory %s on %s is volume %s: %w", ancestor, s.volume, stampedID(mark), ErrNested)
	}
	st, err := dir.Stat()
	if err != nil || !isFreshParent(st) {
		return err
	}
	if err := dir.CreateXattr(parentXattr, "1"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return dir.Chmod(parentMode | st.Mode&unix.S_ISGID)
}

// isFreshParent leaves setgid out: below a directory that has it, mkdir sets it.
func isFreshParent(st unix.Stat_t) bool {
	return st.Mode&0o7777&^unix.S_ISGID == freshParent && st.Uid == 0
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

// removeParents removes the volume's ancestors that the driver made and that hold
// nothing any more, the innermost first.
func (s *Store) removeParents(r Record) error {
	for _, ancestor := range slices.Backward(ancestors(r.Path)) {
		holder, name, err := s.split(ancestor)
		if notThere(err) {
			continue
		}
		if err != nil {
			return err
		}
		err = removeParent(holder, name)
		holder.Close()
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, errNotOurs) {
			return nil
		}
		if err := gone(err); err != nil {
			return err
		}
	}
	return nil
}

var errNotOurs = errors.New("the driver did not make it")

func removeParent(holder *safepath.Dir, name string) error {
	dir, err := holder.Open(name)
	if errors.Is(err, safepath.ErrLink) || errors.Is(err, unix.ENOTDIR) {
		return errNotOurs
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	volume, making, err := whose(dir)
	if err != nil {
		return err
	}
	st, err := dir.Stat()
	if err != nil {
		return err
	}
	parent, err := dir.Xattr(parentXattr)
	if err != nil {
		return err
	}
	if volume != "" || making || parent == "" && !isFreshParent(st) {
		return errNotOurs
	}
	return holder.Rmdir(name)
}
