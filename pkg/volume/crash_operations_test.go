// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// operations are what is killed. Each prepares what it needs, and is done once more in
// the test's own process.
var operations = map[string]struct {
	prepare, do func(s *Store) error
}{
	"create":          {nothing, createSpec(crashSpec)},
	"create retained": {nothing, createSpec(retained())},
	"take back":       {beginVolume, deleteVolume},
	"delete":          {func(s *Store) error { return makeVolume(s, Trash) }, deleteVolume},
	"delete retained": {func(s *Store) error { return makeVolume(s, Retain) }, deleteVolume},
	"reap":            {makeTrash, func(s *Store) error { _, err := s.Reap(background, 0); return err }},
	"restore":         {makeTrash, restoreOnly},
	"give way":        {makeTrash, giveWay},
	"expand":          {func(s *Store) error { return makeExpanded(s, crashSpec) }, expandTo3},
	"create enforced": {nothing, createSpec(enforced())},
	"expand enforced": {func(s *Store) error { return makeExpanded(s, enforced()) }, expandTo3},
	"modify": {createSpec(crashSpec), func(s *Store) error {
		_, err := s.Modify("vol", Changes{Owner: Owner{GID: ptr[uint32](7)}, OnDelete: Retain})
		return err
	}},
	"give back": {func(s *Store) error { _, err := s.Create(enforced()); return err }, deleteVolume},
	"adopt":     {makeLegacy, adoptLegacy},
	"release":   {func(s *Store) error { return errors.Join(makeLegacy(s), adoptLegacy(s)) }, giveBack},
}

func nothing(*Store) error { return nil }

func createSpec(spec Spec) func(*Store) error {
	return func(s *Store) error { _, err := s.Create(spec); return err }
}

func retained() Spec {
	spec := crashSpec
	spec.OnDelete = Retain
	return spec
}

// makeLegacy makes an empty directory, as a creation would: nobody may take it for one.
func makeLegacy(s *Store) error {
	at := filepath.Join(rootOf(s), crashSpec.Path)
	return errors.Join(os.MkdirAll(at, 0o755), os.Chown(at, 1001, 0), unix.Chmod(at, uint32(DefaultMode)))
}

func adoptLegacy(s *Store) error {
	s.recent = 0
	_, err := s.Adopt(background, "vol", crashSpec.Path, 1)
	return err
}

// giveBack may be repeated.
func giveBack(s *Store) error {
	if err := s.GiveBack("vol"); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

func deleteVolume(s *Store) error {
	s.recent = 0 // what it finds half made was not begun by another host just now
	return s.Delete(background, "vol")
}

// beginVolume leaves a volume half made.
func beginVolume(s *Store) error {
	r := newRecord(crashSpec)
	c, err := s.claimBoth(r)
	if err != nil {
		return err
	}
	defer c.close()
	dir, err := s.makeDirectory(r)
	if err == nil {
		dir.Close()
	}
	return err
}

// giveWay restores an entry, and makes another volume of its ID when the data is back already.
func giveWay(s *Store) error {
	step := s.step
	s.step = func(point string) {
		if point == stepReturned {
			other, err := Open(gv0, rootOf(s))
			if err != nil {
				panic(err)
			}
			defer other.Close()
			if _, err := other.Create(spec("vol")); err != nil {
				panic(err)
			}
		}
		step(point)
	}
	defer func() { s.step = step }()
	if err := restoreOnly(s); err != nil && !errors.Is(err, ErrIncompatible) {
		return err
	}
	return nil
}

func makeVolume(s *Store, onDelete OnDelete) error {
	spec := crashSpec
	spec.OnDelete = onDelete
	if _, err := s.Create(spec); err != nil {
		return err
	}
	for i := range 5 {
		if err := os.WriteFile(filepath.Join(rootOf(s), spec.Path, fmt.Sprint(i)), []byte("x"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func makeTrash(s *Store) error {
	if err := makeVolume(s, Trash); err != nil {
		return err
	}
	return s.Delete(background, "vol")
}

// enforced is retained, too: then the limit is lifted.
func enforced() Spec {
	spec := retained()
	spec.Quota, spec.Enforced = QuotaAuto, true
	return spec
}

func makeExpanded(s *Store, spec Spec) error {
	if _, err := s.Create(spec); err != nil {
		return err
	}
	_, err := s.Expand("vol", 2, 0)
	return err
}

func expandTo3(s *Store) error {
	_, err := s.Expand("vol", 3, 0)
	return err
}

// restoreOnly restores the entry that there is, if it was not done to its end before.
func restoreOnly(s *Store) error {
	entries, err := s.TrashEntries()
	if err == nil && len(entries) == 1 {
		_, err = s.Restore(entries[0].Name)
	}
	return err
}
