// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// A server that loses its power may forget the rename of a record, and GlusterFS brings back the name that the other
// bricks have, or the one that this brick has: then one file has two names, on every brick. rename(2) does nothing
// between two names of one file, and says that it has. So the name that does not count is removed first, by everybody
// by the same rule. Another controller may be at the file at the same moment: the name is moved aside, and goes only
// where the file has the other one still (TestOfTwoNamesOfARecordOneIsLeft, TestANameThatIsTheOnlyOneByNowIsMovedBack).

// The named point of it.
const stepNameAside = "record: second name moved aside"

// EntrySuffixes are the states of a trash entry. Where its record has two names the later one of this list counts: what
// is being removed may have lost files, and what is held must not go.
var EntrySuffixes = []string{RecordSuffix, HeldSuffix, BackSuffix, DoomedSuffix}

func isFurther(suffix, than string) bool {
	return slices.Index(EntrySuffixes, suffix) > slices.Index(EntrySuffixes, than)
}

// SettleSuffix gives the record of an entry one name, and the entry the state that this says. The names are asked for:
// a list is what one brick says.
func (s *Store) SettleSuffix(e *TrashEntry) error {
	var there []string
	for _, suffix := range EntrySuffixes {
		absent, err := owndir.IsMissing(e.Dir, e.Base+suffix)
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
	e.Suffix = there[last]
	for _, suffix := range there[:last] {
		if err := s.DropName(owndir.File{Dir: e.Dir, Name: e.Base + suffix}, e.RecordFile()); err != nil {
			return err
		}
	}
	return nil
}

// MoveRecord renames a record, also where it has the new name already, and the old one is what came back.
func (s *Store) MoveRecord(from, to owndir.File) error {
	if err := from.Dir.Rename(from.Name, to.Dir, to.Name); err != nil {
		return err
	}
	twice, err := owndir.IsOneFile(from, to)
	if err != nil || !twice {
		return err // an old name that is another file is that of the next volume
	}
	if err := s.DropName(to, from); err != nil {
		return err
	}
	return from.Dir.Rename(from.Name, to.Dir, to.Name)
}

// DropName removes a name of a file that has another one too. ErrBusy if another controller has just removed that one:
// then the name stays.
func (s *Store) DropName(name, other owndir.File) error {
	aside := owndir.File{Dir: name.Dir, Name: name.Name + AsideSuffix + strconv.FormatUint(rand.Uint64(), 36)}
	if err := name.Dir.Rename(name.Name, aside.Dir, aside.Name); err != nil {
		return volume.IgnoreNotExist(err)
	}
	s.Step(stepNameAside)
	return s.settleName(aside, name, other)
}

// settleName removes a name that was moved aside if the file still has one of the others, and moves it back if not.
func (s *Store) settleName(aside, name owndir.File, others ...owndir.File) error {
	for _, other := range others {
		twice, err := owndir.IsOneFile(aside, other)
		if err != nil {
			return err
		}
		if twice {
			return volume.IgnoreNotExist(aside.Dir.Unlink(aside.Name))
		}
	}
	if err := aside.Dir.Rename(aside.Name, name.Dir, name.Name); err != nil {
		return volume.IgnoreNotExist(err)
	}
	return fmt.Errorf("%s/%s was just renamed by another controller: %w", name.Dir.Name(), name.Name, volume.ErrBusy)
}

// SettleNames finishes what a kill has left of removing a second name.
func (s *Store) SettleNames(alone func(id string, do func() error)) error {
	var errs []error
	seen := map[string]bool{}
	for _, kind := range []string{owndir.CreatingDir, owndir.TrashDir} {
		files, err := s.Files(kind)
		errs = append(errs, err)
		for _, aside := range files {
			name, _, isAside := strings.Cut(aside.Name, AsideSuffix)
			stamp, suffix, isRecord := CutSuffix(name, append([]string{RevokedSuffix, UndoSuffix}, EntrySuffixes...)...)
			if !isAside || !isRecord {
				continue
			}
			seen[aside.Name] = true
			if !s.IsAbandoned(&s.Memory.asides, aside.Name) {
				continue
			}
			others := []owndir.File{{Dir: aside.Dir, Name: name}}
			if kind == owndir.TrashDir {
				for _, other := range EntrySuffixes {
					if other != suffix {
						others = append(others, owndir.File{Dir: aside.Dir, Name: stamp + other})
					}
				}
			} else if volumes, err := s.EnsureShard(owndir.VolumesDir, volume.IDOfStamp(stamp)); err == nil {
				others = append(others, owndir.File{Dir: volumes, Name: volume.IDOfStamp(stamp) + RecordSuffix})
			}
			alone(volume.IDOfStamp(stamp), func() error {
				err := s.settleName(aside, others[0], others...)
				if errors.Is(err, volume.ErrBusy) || errors.Is(err, fs.ErrNotExist) {
					err = nil // moved back
				}
				return err
			})
		}
	}
	s.Memory.asides.Keep(seen)
	return s.Explain(errors.Join(errs...))
}
