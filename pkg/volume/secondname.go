// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A server that loses its power may forget the rename of a record, and GlusterFS brings back the name that the other
// bricks have, or the one that this brick has: then one file has two names, on every brick. rename(2) does nothing
// between two names of one file, and says that it has. So the name that does not count is removed first, by everybody by
// the same rule. Another controller may be at the file at the same moment: the name is moved aside, and goes only where
// the file has the other one still (TestOfTwoNamesOfARecordOneIsLeft).

// The named point of it.
const stepNameAside = "record: second name moved aside"

// entrySuffixes are the states of a trash entry. Where its record has two names the later one of this list counts: what
// is being removed may have lost files, and what is held must not go.
var entrySuffixes = []string{recordSuffix, heldSuffix, backSuffix, doomedSuffix}

func isFurther(suffix, than string) bool {
	return slices.Index(entrySuffixes, suffix) > slices.Index(entrySuffixes, than)
}

// settleSuffix gives the record of an entry one name, and the entry the state that this says. The names are asked for:
// a list is what one brick says.
func (s *Store) settleSuffix(e *TrashEntry) error {
	var there []string
	for _, suffix := range entrySuffixes {
		absent, err := missing(e.dir, e.Name+suffix)
		if err != nil {
			return err
		}
		if !absent {
			there = append(there, suffix)
		}
	}
	if len(there) < 2 { // none: it is gone, or moves on just now, as the next step will find
		return nil
	}
	last := len(there) - 1
	e.suffix = there[last]
	for _, suffix := range there[:last] {
		if err := s.dropName(file{e.dir, e.Name + suffix}, file{e.dir, e.Name + e.suffix}); err != nil {
			return err
		}
	}
	return nil
}

// moveRecord renames a record, also where it has the new name already, and the old one is what came back.
func (s *Store) moveRecord(from, to file) error {
	if err := from.dir.Rename(from.name, to.dir, to.name); err != nil {
		return err
	}
	twice, err := isOneFile(from, to)
	if err != nil || !twice {
		return err // an old name that is another file is that of the next volume
	}
	if err := s.dropName(to, from); err != nil {
		return err
	}
	return from.dir.Rename(from.name, to.dir, to.name)
}

// dropName removes a name of a file that has another one too.
func (s *Store) dropName(name, other file) error {
	aside := file{name.dir, name.name + asideSuffix + strconv.FormatUint(rand.Uint64(), 36)}
	if err := name.dir.Rename(name.name, aside.dir, aside.name); err != nil {
		return ignoreNotExist(err)
	}
	s.step(stepNameAside)
	return s.settleName(aside, name, other)
}

// settleName removes a name that was moved aside if the file still has one of the others, and moves it back if not.
func (s *Store) settleName(aside, name file, others ...file) error {
	for _, other := range others {
		twice, err := isOneFile(aside, other)
		if err != nil {
			return err
		}
		if twice {
			return ignoreNotExist(aside.dir.Unlink(aside.name))
		}
	}
	if err := aside.dir.Rename(aside.name, name.dir, name.name); err != nil {
		return ignoreNotExist(err)
	}
	return fmt.Errorf("%s/%s was just renamed by another controller: %w", name.dir.Name(), name.name, ErrBusy)
}

// isOneFile says whether two names are there and of one file.
func isOneFile(a, b file) (bool, error) {
	var inodes [2]uint64
	for i, f := range []file{a, b} {
		err := f.dir.Refresh(f.name)
		var st unix.Stat_t
		if err == nil {
			st, err = f.dir.StatEntry(f.name)
		}
		if err != nil {
			return false, ignoreNotExist(err)
		}
		inodes[i] = st.Ino
	}
	return inodes[0] == inodes[1], nil
}

// settleEntries removes what a deletion has left that was repeated when one brick had forgotten that it had begun: its
// record, under the name of another entry, which has no data.
func (s *Store) settleEntries(entries []TrashEntry, alone func(id string, do func() error)) {
	of := map[string]TrashEntry{} // those with data, by the stamp of the volume
	for _, e := range entries {
		if e.moved {
			of[e.Record.stamp()] = e
		}
	}
	for _, e := range entries {
		with, twice := of[e.Record.stamp()]
		if e.moved || !twice {
			continue
		}
		alone(e.Record.ID, func() error {
			name, other := file{e.dir, e.Name + e.suffix}, file{with.dir, with.Name + with.suffix}
			if twice, err := isOneFile(name, other); err != nil || !twice {
				return err
			}
			return s.dropName(name, other)
		})
	}
}

// settleNames finishes what a kill has left of removing a second name.
func (s *Store) settleNames(alone func(id string, do func() error)) error {
	var errs []error
	seen := map[string]bool{}
	for _, kind := range []string{creatingDir, trashDir} {
		files, err := s.files(kind)
		errs = append(errs, err)
		for _, aside := range files {
			name, _, isAside := strings.Cut(aside.name, asideSuffix)
			stamp, suffix, isRecord := cutSuffix(name, append([]string{revokedSuffix, undoSuffix}, entrySuffixes...)...)
			if !isAside || !isRecord {
				continue
			}
			seen[aside.name] = true
			if !s.isAbandoned(&s.sightings.asides, aside.name) {
				continue
			}
			others := []file{{aside.dir, name}}
			if kind == trashDir {
				for _, other := range entrySuffixes {
					if other != suffix {
						others = append(others, file{aside.dir, stamp + other})
					}
				}
			} else if volumes, err := s.home(volumesDir, stampedID(stamp)); err == nil {
				others = append(others, file{volumes, stampedID(stamp) + recordSuffix})
			}
			alone(stampedID(stamp), func() error {
				err := s.settleName(aside, others[0], others...)
				if errors.Is(err, ErrBusy) || errors.Is(err, fs.ErrNotExist) {
					err = nil // moved back
				}
				return err
			})
		}
	}
	s.sightings.asides.keep(seen)
	return s.explain(errors.Join(errs...))
}
