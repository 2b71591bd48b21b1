// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"cmp"
	"encoding/json"
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
	stepApplied   = "change: owner applied"
	stepForgotten = "change: earlier ones removed"
)

// attributesSchema is the version of attributes that this driver knows.
const attributesSchema = 1

// attributes are what counts of a volume instead of what its record says; what is not there is as the record says.
type attributes struct {
	MinReader int      `json:"minReader,omitempty"` // as in Record; for those that change them, too
	Capacity  int64    `json:"capacity,omitempty"`  // bytes
	Owner     *Owner   `json:"owner,omitempty"`
	OnDelete  OnDelete `json:"onDelete,omitempty"`
	Quota     Quota    `json:"quota,omitempty"`
	Enforced  *bool    `json:"enforced,omitempty"` // beside Quota

	unknown map[string]json.RawMessage // of a newer driver
}

// maxAttributes is what a symbolic link takes, in bytes.
const maxAttributes = 4095

func parseAttributes(content string) (attributes, error) {
	var a attributes
	if err := json.Unmarshal([]byte(content), &a); err != nil {
		return attributes{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	switch {
	case a.MinReader > attributesSchema:
		return attributes{}, fmt.Errorf("%w: its attributes may be read by drivers that know their schema %d, and this one knows %d",
			ErrNewer, a.MinReader, attributesSchema)
	case a.Capacity < 0:
		return attributes{}, fmt.Errorf("%w: capacity %d", ErrCorrupt, a.Capacity)
	case (a.Quota == "") != (a.Enforced == nil):
		return attributes{}, fmt.Errorf("%w: quota %q", ErrCorrupt, a.Quota)
	}
	_, err := ParseOnDelete(string(cmp.Or(a.OnDelete, Trash)))
	if err == nil {
		_, err = ParseQuota(string(a.Quota.OrAuto()))
	}
	if err != nil {
		return attributes{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	a.unknown, err = unknownFields[attributes]([]byte(content))
	return a, err
}

func (a attributes) encode() (string, error) {
	all, err := withUnknown(a, a.unknown)
	var data []byte
	if err == nil {
		data, err = json.Marshal(all)
	}
	if err == nil && len(data) > maxAttributes {
		err = fmt.Errorf("attributes of %d bytes, more than %d: %w", len(data), maxAttributes, ErrInvalid)
	}
	return string(data), err
}

// over returns the record as it is with the attributes.
func (a attributes) over(r Record) Record {
	if a.Capacity > 0 {
		r.Capacity = a.Capacity
	}
	if a.Owner != nil {
		r.Owner = *a.Owner
	}
	r.OnDelete = cmp.Or(a.OnDelete, r.OnDelete)
	if a.Quota != "" {
		r.Quota, r.Enforced = a.Quota, *a.Enforced
	}
	return r
}

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
