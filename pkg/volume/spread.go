// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"strings"
)

// spread moves what the driver had in one directory for each kind, before there were many, to where it belongs. What
// it cannot move it finds where it is. Trash entries stay until they are reaped: with a directory that is moved goes the
// risk that a server forgets it, for nothing.
func (s *Store) spread(ctx context.Context, alone func(id string, do func() error)) error {
	var errs []error
	moved := false
	for _, kind := range []string{volumesDir, creatingDir, pathsDir, trashDir} {
		if s.memory.flat.isEmpty(kind) {
			continue
		}
		files, err := s.filesIn(kind)
		errs = append(errs, err)
		isEmpty := err == nil
		for _, f := range files {
			if isShard(f.name) || ctx.Err() != nil {
				continue
			}
			moved, isEmpty = true, false // what moves now is looked for where it was by those that began before
			switch kind {
			case pathsDir:
				name, _, _ := strings.Cut(f.name, asideSuffix)
				errs = append(errs, s.moveOn(kind, name, f))
			case volumesDir:
				id := strings.TrimSuffix(f.name, recordSuffix)
				alone(id, func() error { return s.moveOn(kind, id, f) })
			case creatingDir:
				stamp, suffix, _ := cutSuffix(f.name, recordSuffix, undoSuffix, dirSuffix)
				if id := stampedID(stamp); suffix != dirSuffix {
					alone(id, func() error { return s.moveOn(kind, id, f) })
				}
			}
		}
		if isEmpty && ctx.Err() == nil {
			s.memory.flat.set(kind)
		}
	}
	if moved {
		errs = append(errs, s.commit())
	}
	return s.explain(errors.Join(errs...))
}

func (s *Store) moveOn(kind, key string, f file) error {
	home, err := s.home(kind, key)
	if err != nil || home == f.dir {
		return err
	}
	if err := f.dir.Rename(f.name, home, f.name); err != nil {
		return ignoreNotExist(err)
	}
	if isMissing, err := missing(f.dir, f.name); err != nil || isMissing {
		return err
	}
	return ignoreNotExist(f.dir.Unlink(f.name)) // both names were of one file: a server has forgotten an earlier move
}

// cutSuffix takes off whichever of the suffixes a name has.
func cutSuffix(name string, suffixes ...string) (before, suffix string, found bool) {
	for _, suffix := range suffixes {
		if before, found := strings.CutSuffix(name, suffix); found {
			return before, suffix, true
		}
	}
	return name, "", false
}
