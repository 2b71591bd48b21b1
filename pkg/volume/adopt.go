// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// Adoption makes a volume of a directory that somebody else has made. Its record is complete from the first write
// on, and on disk before the path is claimed: what is taken back of creations is found by a claim without a record,
// and an empty directory goes then, which may not happen to this one. Giving back goes the other way round, the
// claim before the record.

// Adopt is Store.Adopt.
func (m *Manager) Adopt(ctx context.Context, id ID, path string, capacity int64) (Record, error) {
	return one(ctx, m, id.Volume, id.ID, func(s *Store) (Record, error) { return s.Adopt(context.WithoutCancel(ctx), id.ID, path, capacity) })
}

// GiveBack is Store.GiveBack.
func (m *Manager) GiveBack(ctx context.Context, id ID) error {
	_, err := one(ctx, m, id.Volume, id.ID, func(s *Store) (struct{}, error) { return struct{}{}, s.GiveBack(id.ID) })
	return err
}

// Adopt makes a volume of a directory that is there, with a capacity in bytes, 0 for none, that it is not held to. The
// directory and what is in it stay as they are, then and when the volume is deleted. One that is adopted already is
// returned; what was begun and interrupted is finished. What Adopt returns is on the disks of all bricks that are up.
// Errors: ErrInvalid for a path that can be no volume's, ErrNotFound where nothing is there, ErrForeign where it is no
// directory or another volume's, ErrNested where it lies in a volume or has one in it, ErrIncompatible where the ID is
// another volume's or the capacity another, ErrTwoNames, and ErrBusy.
func (s *Store) Adopt(ctx context.Context, id, path string, capacity int64) (Record, error) {
	r, err := s.adopt(ctx, id, path, capacity)
	if err != nil {
		err = s.explain(fmt.Errorf("adopt directory %s of %s as volume %s: %w", path, s.volume, id, err))
	}
	return r, err
}

func (s *Store) adopt(ctx context.Context, id, path string, capacity int64) (Record, error) {
	f, err := s.lookForAdoption(id, path, capacity)
	if err != nil {
		return Record{}, err
	}
	r := newRecord(Spec{Name: id, Path: path, Required: capacity, OnDelete: Retain, Quota: QuotaNone})
	r.Origin = Adopted
	if f.state != absent {
		if r, err = s.adoptedBefore(f, path, capacity); err != nil {
			return r, err
		}
	}
	if r.GFID, err = s.mayAdopt(ctx, r); err != nil {
		return Record{}, err
	}
	isNew := f.state == absent
	if isNew {
		if f, err = s.recordAdopted(r); err != nil {
			return Record{}, err
		}
	}
	if err := s.takeAdopted(ctx, r); err != nil {
		if isNew {
			err = errors.Join(err, s.release(f), s.commit())
		}
		return Record{}, err
	}
	if err := s.commit(); err != nil {
		return Record{}, err
	}
	return s.current(r)
}

// lookForAdoption finds what there is of the ID, after taking back what was begun and interrupted.
func (s *Store) lookForAdoption(id, path string, capacity int64) (found, error) {
	if !validID(id) || capacity < 0 {
		return found{}, fmt.Errorf("%w: the ID is %q, the capacity %d", ErrInvalid, id, capacity)
	}
	if err := CheckPath(path); err != nil {
		return found{}, err
	}
	f, err := s.look(id)
	if err == nil && f.state == begun {
		if err = s.undoBegun(id); err == nil {
			f, err = s.look(id)
		}
	}
	return f, err
}

// adoptedBefore returns the record of a volume if it is the one that is to be adopted.
func (s *Store) adoptedBefore(f found, path string, capacity int64) (Record, error) {
	if f.state != ready {
		return Record{}, fmt.Errorf("it is just being made: %w", ErrBusy)
	}
	now, err := s.current(f.record)
	switch {
	case err != nil:
		return now, err
	case now.Origin != Adopted:
		err = fmt.Errorf("a volume of this ID was made by the driver, at %s: %w: choose another ID", now.Path, ErrIncompatible)
	case now.Path != path:
		err = fmt.Errorf("the volume has the directory %s: %w: choose another ID, or release it", now.Path, ErrIncompatible)
	case capacity != 0 && now.Capacity != capacity:
		err = fmt.Errorf("the volume has %d bytes, not %d: %w: expand its claim, or release it", now.Capacity, capacity, ErrIncompatible)
	default:
		err = f.record.writable()
	}
	return f.record, err
}

// recordAdopted puts the record on disk, as a whole.
func (s *Store) recordAdopted(r Record) (found, error) {
	c, err := s.claim(r)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("another is making volume %s: %w: %w", r.ID, err, ErrBusy)
	}
	if err != nil {
		return found{}, err
	}
	defer c.close()
	if err = c.complete(r); err == nil {
		s.step(stepCompleted)
		err = s.commit()
	}
	return found{state: ready, record: r, dir: c.dir}, err
}

// takeAdopted claims the path of a volume that is recorded, and looks again: whoever makes a volume in the
// directory, or around it, at the same time either finds that claim or has one that is found now.
func (s *Store) takeAdopted(ctx context.Context, r Record) error {
	held, err := s.claimPath(holder{stamp: r.stamp(), path: r.Path})
	if err := ignoreExist(err); err != nil {
		return err
	}
	if held.stamp != r.stamp() || held.parent {
		return s.anothers(r.ID, r.Path, held)
	}
	s.step(stepPathHeld)
	_, err = s.mayAdopt(ctx, r)
	return err
}

// mayAdopt returns the gfid of the directory at a record's path, unless it is, has or is in anything of the driver's.
func (s *Store) mayAdopt(ctx context.Context, r Record) (string, error) {
	dir, err := s.root.Open(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no such directory: %w", ErrNotFound)
	}
	if err != nil {
		return "", notADirectory(err)
	}
	defer dir.Close()
	gfid, err := gfidOf(dir)
	if err == nil && r.GFID != noGFID {
		err = s.isOwn(dir, r)
	}
	if err != nil {
		return "", err
	}
	at, err := s.placeOf(r.Path)
	if err == nil {
		err = s.hasOneName(dir, at)
	}
	if err == nil {
		err = s.isApart(ctx, r, dir)
	}
	return gfid, err
}

// isApart looks at all claims and records: those of volumes that are being made or restored say where they are to be.
func (s *Store) isApart(ctx context.Context, r Record, dir *safepath.Dir) error {
	claims, err := s.files(pathsDir)
	if err == nil {
		err = each(ctx, s.permit, claims, func(claim file) error { return s.isApartFromClaim(r, claim) })
	}
	if err != nil {
		return err
	}
	inodes, err := s.inodesTo(r.Path, dir)
	if err != nil {
		return err
	}
	return s.forEach(ctx, func(other Record) error {
		gfid, err := s.recordedGFID(other)
		switch {
		case err != nil || other.stamp() == r.stamp():
			return err
		case related(other.Path, r.Path):
			return apartFrom(other.ID, other.Path, r.Path)
		case gfid != "" && gfid != noGFID && inodes[inodeOf(gfid)]:
			return fmt.Errorf("it is, or lies in, the directory of volume %s, which was moved from %s: %w",
				other.ID, other.Path, ErrNested)
		}
		return nil
	})
}

func (s *Store) isApartFromClaim(r Record, claim file) error {
	content, err := readlink(claim.dir, claim.name)
	if err != nil {
		return ignoreNotExist(err)
	}
	h, err := parseHolder(content)
	if err != nil || h.stamp == r.stamp() || h.parent && h.path != r.Path || !related(h.path, r.Path) {
		return err
	}
	lives, err := s.lives(h)
	if err == nil && lives {
		err = apartFrom(stampedID(h.stamp), h.path, r.Path)
	}
	return err
}

// related says whether two paths are the same, or one is within the other.
func related(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

func apartFrom(id, at, p string) error {
	if at == p {
		return fmt.Errorf("the directory belongs to volume %s: %w", id, ErrForeign)
	}
	return fmt.Errorf("volume %s has the directory %s: %w", id, at, ErrNested)
}

// inodesTo returns the inode numbers of a directory and of those that it lies in, which have no mark of the first
// version.
func (s *Store) inodesTo(p string, dir *safepath.Dir) (map[uint64]bool, error) {
	inodes := map[uint64]bool{}
	add := func(dir *safepath.Dir) error {
		mark, err := dir.Xattr(markXattr)
		var st unix.Stat_t
		if err == nil && mark != "" {
			err = fmt.Errorf("it is, or lies in, the directory of volume %s: %w", stampedID(mark), ErrNested)
		}
		if err == nil {
			st, err = dir.Stat()
		}
		inodes[st.Ino] = true
		return err
	}
	err := add(dir)
	for _, ancestor := range ancestors(p) {
		if err != nil {
			return nil, err
		}
		var above *safepath.Dir
		if above, err = s.root.Open(ancestor); err == nil {
			err = add(above)
			above.Close()
		}
	}
	return inodes, err
}

// GiveBack undoes Adopt: the directory is nobody's again, with its data and without a limit. Errors: ErrNotFound, and
// ErrInvalid for a volume that was not adopted.
func (s *Store) GiveBack(id string) error {
	f, err := s.look(id)
	switch {
	case err != nil:
	case f.state != ready:
		err = ErrNotFound
	case f.record.Origin != Adopted:
		err = fmt.Errorf("%w: it was %s by the driver: delete its claim; with `onDelete: retain` its data stays", ErrInvalid, f.record.Origin)
	default:
		err = f.record.writable()
	}
	if err == nil {
		f.record, err = s.current(f.record)
	}
	if err == nil {
		err = s.release(f)
	}
	if err == nil {
		err = s.commit()
	}
	if err != nil {
		err = s.explain(fmt.Errorf("release volume %s on %s: %w", id, s.volume, err))
	}
	return err
}
