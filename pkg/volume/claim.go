// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// claim writes the record into creating/, on disk when it returns: whatever is made after it
// has a record, wherever the maker is killed. Two that make the same volume at once have a
// claim each, and the one that gets the path goes on.
func (s *Store) claim(r Record) error {
	creating, err := s.makeDir(creatingDir)
	if err != nil {
		return err
	}
	name := r.stamp() + recordSuffix
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
		return errors.Join(err, ignoreNotExist(creating.Unlink(name)))
	}
	return nil
}

// rewriteClaim replaces the record in a claim by one of the same size, in one write. It becomes a volume's record by a
// second name, so a claim that was taken back meanwhile stays so.
func (s *Store) rewriteClaim(r Record) error {
	creating, err := s.dir(creatingDir)
	if err != nil {
		return err
	}
	f, err := creating.OpenFile(r.stamp()+recordSuffix, unix.O_WRONLY, 0)
	if err != nil {
		if ignoreNotExist(err) == nil {
			err = fmt.Errorf("another controller made or took back volume %s on %s meanwhile: %w: %w", r.ID, s.volume, err, ErrBusy)
		}
		return err
	}
	_, err = f.Write(r.encode())
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
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

// begun is a file in creating/: a creation that has not come to its end, or its undoing.
type begun struct{ file, stamp, id string }

// claims returns what has begun, once each: first what can still become ready.
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
	there := map[string]bool{}
	for _, name := range names {
		for _, suffix := range []string{recordSuffix, undoSuffix} {
			stamp, found := strings.CutSuffix(name, suffix)
			if id, _, ok := parseStamp(stamp); found && ok {
				all = append(all, begun{name, stamp, id})
				there[stamp] = true
			}
		}
	}
	s.sightings.creations.keep(there)
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
		case s.mayGoOn(&s.sightings.creations, b.stamp):
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
	case r.stamp() != b.stamp:
		return fmt.Errorf("claim %s has the record of %s: %w", b.file, r.stamp(), ErrCorrupt)
	}
	if err := r.writable(); err != nil {
		return err
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
	if s.isAbandoned(&s.sightings.creations, b.stamp) {
		return ignoreNotExist(creating.Unlink(b.file))
	}
	return ignoreNotExist(creating.Rename(b.file, creating, b.stamp+undoSuffix))
}
