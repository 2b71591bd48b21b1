// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The named points of a claim's end.
const (
	stepUndoing = "undo: claim renamed"
	stepEmptied = "undo: directory removed"
	stepPruned  = "undo: parents removed"
)

// claim writes the record into creating/, on disk when it returns: whatever is made after it
// has a record, wherever the maker is killed. Two that make the same volume at once have a
// claim each, and the one whose mark the directory carries goes on.
func (s *Store) claim(r Record) error {
	creating, err := s.makeDir(creatingDir)
	if err != nil {
		return err
	}
	name := r.mark() + recordSuffix
	f, err := creating.OpenFile(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	s.step(stepOpened)
	_, err = f.Write(r.encode())
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return errors.Join(err, gone(creating.Unlink(name)))
	}
	return nil
}

// becomeReady makes a volume of a record elsewhere: from here on it is there for everybody.
// fs.ErrExist where another volume has this ID.
func (s *Store) becomeReady(r Record, from *safepath.Dir, name string) error {
	volumes, err := s.dir(volumesDir)
	if err != nil {
		return err
	}
	err = from.Link(name, volumes, r.ID+recordSuffix)
	if errors.Is(err, fs.ErrExist) {
		// By another process or an earlier try?
		if ready, readyErr := s.isReady(r); ready && readyErr == nil {
			return nil
		}
	}
	return err
}

// undo takes back a creation, unless it has come to its end. Nothing that holds data can go:
// only an empty directory is removed.
func (s *Store) undo(r Record) error {
	err := s.tryUndo(r)
	if err != nil {
		return fmt.Errorf("and it could not be undone yet: %w", err)
	}
	return nil
}

func (s *Store) tryUndo(r Record) error {
	creating, err := s.dir(creatingDir)
	if err != nil {
		return err
	}
	// First, so that nobody makes the volume ready while its directory goes.
	if err := creating.Rename(r.mark()+recordSuffix, creating, r.mark()+undoSuffix); err != nil {
		if gone(err) != nil {
			return err
		}
		// Another process has brought it to an end, or was killed in undoing it.
		if absent, err := missing(creating, r.mark()+undoSuffix); absent || err != nil {
			return err
		}
	}
	s.step(stepUndoing)
	ready, err := s.isReady(r)
	if err != nil {
		return err
	}
	if !ready {
		if err := s.anew(r.Path, func() error { return s.removeEmpty(r) }); err != nil {
			return err
		}
		s.step(stepEmptied)
		if err := s.anew(r.Path, func() error { return s.removeParents(r) }); err != nil {
			return err
		}
		s.step(stepPruned)
	}
	return gone(creating.Unlink(r.mark() + undoSuffix))
}

func (s *Store) isReady(r Record) (bool, error) {
	have, err := s.Get(r.ID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && have.Created.Equal(r.Created), err
}

// removeEmpty removes the directory that a creation or restoration made, if nothing is in it.
func (s *Store) removeEmpty(r Record) error {
	parent, name, err := s.split(r.Path)
	if notThere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	dir, err := parent.Open(name)
	if notThere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	mark, err := dir.Xattr(markXattr)
	if err == nil && mark == "" {
		mark, err = s.take(dir, r)
	}
	if err != nil || mark != r.mark() {
		return err
	}
	err = gone(parent.Rmdir(name))
	if errors.Is(err, unix.ENOTEMPTY) {
		err = fmt.Errorf("%w: %w: look who put something there", err, ErrForeign)
	}
	return err
}

// take marks a directory that was made, but not marked, before it is removed: else it may be that
// of another process by then. It returns the mark that it has.
func (s *Store) take(dir *safepath.Dir, r Record) (mark string, err error) {
	st, err := dir.Stat()
	if err != nil {
		return "", err
	}
	if !hasFreshMode(st) { // another has marked it meanwhile, and gone on, or it is nobody's
		return dir.Xattr(markXattr)
	}
	err = dir.CreateXattr(markXattr, r.mark())
	if errors.Is(err, fs.ErrExist) {
		return dir.Xattr(markXattr)
	}
	return r.mark(), err
}

// notThere says of an error in opening a directory that none can be there: nothing is made
// behind a link or a file.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, safepath.ErrLink) || errors.Is(err, unix.ENOTDIR)
}

// begun is a file in creating/: a creation that has not come to its end, or its undoing.
type begun struct {
	file, mark, id string
	since          time.Time
}

// claims returns what has begun.
func (s *Store) claims() ([]begun, error) {
	creating, err := s.dir(creatingDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := creating.Names(0)
	if err != nil {
		return nil, err
	}
	var all []begun
	for _, name := range names {
		mark := strings.TrimSuffix(strings.TrimSuffix(name, recordSuffix), undoSuffix)
		if id, since, ok := parseStamp(mark); ok {
			all = append(all, begun{name, mark, id, since})
		}
	}
	return all, nil
}

// undoBegun takes back the creations of a volume that have not come to their end. ErrBusy if one
// may still go on.
func (s *Store) undoBegun(id string) error {
	all, err := s.claims()
	errs := []error{err}
	for _, b := range all {
		switch {
		case b.id != id:
		case time.Since(b.since) <= s.recent:
			errs = append(errs, fmt.Errorf("it is just being made: %w", ErrBusy))
		default:
			errs = append(errs, s.undoClaim(b))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) undoClaim(b begun) error {
	creating, err := s.dir(creatingDir)
	if err != nil {
		return err
	}
	r, err := readRecord(creating, b.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // come to its end meanwhile
	case isTorn(err):
		return s.undoTorn(creating, b)
	case err != nil:
		return err
	case r.mark() != b.mark:
		return fmt.Errorf("claim %s has the record of %s: %w", b.file, r.mark(), ErrCorrupt)
	}
	return s.undo(r)
}

// isTorn says of an error in reading a claim that its writing was cut short: nothing has been
// made for it. A record of a newer driver is whole.
func isTorn(err error) bool {
	var syntax *json.SyntaxError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &syntax)
}

// undoTorn keeps a claim whose writing was cut short, or is under way, from becoming ready. Its
// writer may still go on, and be killed then, so it is not removed before it is abandoned.
func (s *Store) undoTorn(creating *safepath.Dir, b begun) error {
	if time.Since(b.since) > s.abandoned {
		return gone(creating.Unlink(b.file))
	}
	return gone(creating.Rename(b.file, creating, b.mark+undoSuffix))
}
