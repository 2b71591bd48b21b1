// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// What may change of a volume stands apart from its record, in a symbolic link that is named by the volume's stamp and a
// generation: attributes/<stamp>.<generation>. The highest generation counts, and says all; the record says what does
// not change, and the rest as long as there is no link. A link is made in one step, whole and exclusive: so of two that
// change a volume at once, the one that comes second finds the generation taken, and reads again.
//
// No name is ever given twice: a server that forgot, when its power went, that a name was removed, or made, would come
// back with another file of that name, which GlusterFS cannot heal. So the links of earlier generations go when the new
// one is on disk, and may come back: they count for nothing. The stamp is of one life of an ID: a volume that is made
// again has nothing of the one before.

// The named points of a change.
const (
	stepChanging  = "change: attributes read"
	stepChanged   = "change: new attributes made"
	stepForgotten = "change: earlier ones removed"
)

// attributesOf returns what counts instead of a record, and of which generation it is; 0 where there is nothing. It
// costs one lookup more where nothing of the record's directory was ever changed, and reading a directory where
// something was.
func (s *Store) attributesOf(r Record) (attributes, int64, error) {
	const attempts = 3
	for range attempts {
		files, err := s.filesIn(attributesDir + "/" + shard(r.ID))
		if err != nil {
			return attributes{}, 0, err
		}
		link, changed := highest(files)[r.stamp()]
		if !changed {
			return attributes{}, 0, nil
		}
		a, err := s.readAttributes(link)
		if !errors.Is(err, fs.ErrNotExist) { // else changed meanwhile, and removed
			return a, link.generation, err
		}
	}
	return attributes{}, 0, fmt.Errorf("the attributes of volume %s on %s change again and again: %w", r.ID, s.volume, ErrBusy)
}

func (s *Store) readAttributes(link attributesFile) (attributes, error) {
	content, err := readlink(link.dir, link.name)
	if err != nil {
		return attributes{}, err
	}
	a, err := parseAttributes(content)
	if err != nil {
		err = fmt.Errorf("%s: %w", s.pathOf(link.file), err)
	}
	return a, err
}

// current returns a record as it is with the volume's attributes.
func (s *Store) current(r Record) (Record, error) {
	a, _, err := s.attributesOf(r)
	return a.over(r), s.explain(err)
}

// allCurrent is current for a page of records: each directory is read once. Those that cannot be read are left out,
// and named in the page.
func (s *Store) allCurrent(p *Page) error {
	if _, err := s.own(attributesDir); err != nil {
		return ignoreNotExist(err)
	}
	links := map[string]map[string]attributesFile{} // by shard, and stamp
	var records []Record
	for _, r := range p.Records {
		in := shard(r.ID)
		if links[in] == nil {
			files, err := s.filesIn(attributesDir + "/" + in)
			if err != nil {
				return err
			}
			links[in] = highest(files)
		}
		if _, changed := links[in][r.stamp()]; changed {
			now, err := s.current(r) // it may have changed again
			if isUnreadable(err) {
				p.Damaged = errors.Join(p.Damaged, err)
				continue
			}
			if err != nil {
				return err
			}
			r = now
		}
		records = append(records, r)
	}
	p.Records = records
	return nil
}

// change gives a volume that is there other attributes, unless it has them, and then has them applied. They are on disk
// when it returns, and so is what apply has done.
func (s *Store) change(r Record, change func(*attributes), apply func() error) (attributes, error) {
	const attempts = 10
	for range attempts {
		a, generation, err := s.attributesOf(r)
		if err != nil {
			return a, err
		}
		before, err := a.encode()
		if err != nil {
			return a, err
		}
		change(&a)
		content, err := a.encode()
		if err == nil && content == before {
			if err = apply(); err == nil { // perhaps it was killed before that
				err = s.commit()
			}
			return a, err
		}
		if err != nil {
			return a, err
		}
		dir, err := s.attributesHome(r.ID)
		if err != nil {
			return a, err
		}
		s.step(stepChanging)
		name := attributesName(r.stamp(), generation+1)
		if err := dir.Symlink(content, name); !errors.Is(err, fs.ErrExist) {
			if err != nil {
				return a, err
			}
			return a, s.finishChange(r, attributesFile{file{dir, name}, r.stamp(), generation + 1}, apply)
		}
	}
	return attributes{}, fmt.Errorf("the attributes of volume %s on %s change again and again: %w", r.ID, s.volume, ErrBusy)
}

func (s *Store) attributesHome(id string) (*safepath.Dir, error) {
	name := attributesDir + "/" + shard(id)
	dir, err := s.own(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := s.makeHome(attributesDir, id); err != nil {
		return nil, err
	}
	return s.own(name)
}

// finishChange applies what was changed, puts it on disk, and removes what counted before. Where the volume was given up
// meanwhile, by another controller, the link goes.
func (s *Store) finishChange(r Record, link attributesFile, apply func() error) error {
	s.step(stepChanged)
	if gone, err := s.isGone(r.stamp()); err != nil || gone {
		if gone {
			err = errors.Join(fmt.Errorf("volume %s on %s: %w", r.ID, s.volume, ErrNotFound), ignoreNotExist(link.dir.Unlink(link.name)))
		}
		return err
	}
	err := apply()
	if err == nil {
		err = s.commit()
	}
	if err != nil {
		return err
	}
	err = s.forgetAttributes(r, link.generation)
	s.step(stepForgotten)
	return err
}

// isGone says whether there is neither a volume of a stamp nor an entry of it in the trash. What begins is looked for
// before what it becomes, and once more, as a restoration goes the other way.
func (s *Store) isGone(stamp string) (bool, error) {
	id := stampedID(stamp)
	isReady := func() (bool, error) {
		f, err := s.look(id)
		return f.state == ready && f.record.stamp() == stamp, err
	}
	if there, err := isReady(); err != nil || there {
		return false, err
	}
	entries, err := s.entries(id)
	if err != nil || slices.ContainsFunc(entries, func(e TrashEntry) bool { return e.Record.stamp() == stamp }) {
		return false, err
	}
	there, err := isReady()
	return err == nil && !there, err
}

// forgetAttributes removes the attributes of a volume, of all generations before this one; math.MaxInt64 when nothing
// else is left of the volume.
func (s *Store) forgetAttributes(r Record, before int64) error {
	files, err := s.filesIn(attributesDir + "/" + shard(r.ID))
	errs := []error{err}
	for _, f := range files {
		if a, ok := parseAttributesFile(f); ok && a.stamp == r.stamp() && a.generation < before {
			errs = append(errs, ignoreNotExist(f.dir.Unlink(f.name)))
		}
	}
	return errors.Join(errs...)
}
