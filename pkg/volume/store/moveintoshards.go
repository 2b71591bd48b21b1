// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// Spread moves what the driver had in one directory for each kind, before there were many, to where it belongs. What
// it cannot move it finds where it is. Trash entries stay until they are reaped: with a directory that is moved goes
// the risk that a server forgets it, for nothing.
func (s *Store) Spread(ctx context.Context, alone func(id string, do func() error)) error {
	var errs []error
	moved := false
	for _, kind := range owndir.OnceFlat {
		if s.IsSpread(kind) {
			continue
		}
		files, err := s.FilesIn(kind)
		errs = append(errs, err)
		isEmpty := err == nil
		for _, f := range files {
			if owndir.IsShard(f.Name) || ctx.Err() != nil {
				continue
			}
			moved, isEmpty = true, false // what moves now is looked for where it was by those that began before
			switch kind {
			case owndir.PathsDir:
				name, _, _ := strings.Cut(f.Name, AsideSuffix)
				errs = append(errs, s.moveOn(kind, name, f))
			case owndir.VolumesDir:
				id := strings.TrimSuffix(f.Name, RecordSuffix)
				alone(id, func() error { return s.moveOn(kind, id, f) })
			case owndir.CreatingDir:
				stamp, suffix, _ := CutSuffix(f.Name, RecordSuffix, UndoSuffix, DirSuffix)
				if id := volume.IDOfStamp(stamp); suffix != DirSuffix {
					alone(id, func() error { return s.moveOn(kind, id, f) })
				}
			}
		}
		if isEmpty && ctx.Err() == nil {
			s.SetSpread(kind)
		}
	}
	if moved {
		errs = append(errs, s.Commit())
	}
	return s.Explain(errors.Join(errs...))
}

func (s *Store) moveOn(kind, key string, f owndir.File) error {
	home, err := s.EnsureShard(kind, key)
	if err != nil || home == f.Dir {
		return err
	}
	if err := f.Dir.Rename(f.Name, home, f.Name); err != nil {
		return volume.IgnoreNotExist(err)
	}
	if isMissing, err := owndir.IsMissing(f.Dir, f.Name); err != nil || isMissing {
		return err
	}
	return volume.IgnoreNotExist(f.Dir.Unlink(f.Name)) // both names were of one file: a server has forgotten an earlier move
}

// CutSuffix takes off whichever of the suffixes a name has.
func CutSuffix(name string, suffixes ...string) (before, suffix string, found bool) {
	for _, suffix := range suffixes {
		if before, found := strings.CutSuffix(name, suffix); found {
			return before, suffix, true
		}
	}
	return name, "", false
}
