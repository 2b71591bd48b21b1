// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// What may change of a volume stands apart from its record, in a symbolic link that is named by the volume's stamp and
// a generation: attributes/<stamp>.<generation>. The highest generation counts, and says all; the record says what does
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
func (s *Store) attributesOf(r volume.Record) (volume.Attributes, int64, error) {
	const attempts = 3
	for range attempts {
		files, err := s.filesIn(AttributesDir + "/" + shard(r.ID))
		if err != nil {
			return volume.Attributes{}, 0, err
		}
		link, changed := Latest(files)[r.Stamp()]
		if !changed {
			return volume.Attributes{}, 0, nil
		}
		a, err := s.ReadAttributes(link)
		if !errors.Is(err, fs.ErrNotExist) { // else changed meanwhile, and removed
			return a, link.generation, err
		}
	}
	return volume.Attributes{}, 0, fmt.Errorf("the attributes of volume %s on %s change again and again: %w", r.ID, s.Volume, volume.ErrBusy)
}

// ReadAttributes reads one link; fs.ErrNotExist if it went meanwhile.
func (s *Store) ReadAttributes(link AttributesFile) (volume.Attributes, error) {
	content, err := Readlink(link.Dir, link.Name)
	if err != nil {
		return volume.Attributes{}, err
	}
	a, err := volume.ParseAttributes(content)
	if err != nil {
		err = fmt.Errorf("%s: %w", s.PathOf(link.File), err)
	}
	return a, err
}

// Current returns a record as it is with the volume's attributes.
func (s *Store) Current(r volume.Record) (volume.Record, error) {
	a, _, err := s.attributesOf(r)
	return a.ApplyTo(r), s.Explain(err)
}

// allCurrent is Current for a page of records: each directory is read once. Those that cannot be read are left out,
// and named in the page.
func (s *Store) allCurrent(p *Page) error {
	if _, err := s.ownDirectory(AttributesDir); err != nil {
		return volume.IgnoreNotExist(err)
	}
	links := map[string]map[string]AttributesFile{} // by shard, and stamp
	var records []volume.Record
	for _, r := range p.Records {
		in := shard(r.ID)
		if links[in] == nil {
			files, err := s.filesIn(AttributesDir + "/" + in)
			if err != nil {
				return err
			}
			links[in] = Latest(files)
		}
		if _, changed := links[in][r.Stamp()]; changed {
			now, err := s.Current(r) // it may have changed again
			if volume.IsUnreadable(err) {
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

// ChangeAttributes gives a volume that is there other attributes, unless it has them, and then has them applied. They
// are on disk when it returns, and so is what apply has done.
func (s *Store) ChangeAttributes(r volume.Record, change func(*volume.Attributes), apply func() error) (volume.Attributes, error) {
	const attempts = 10
	for range attempts {
		a, generation, err := s.attributesOf(r)
		if err != nil {
			return a, err
		}
		before, err := a.Encode()
		if err != nil {
			return a, err
		}
		change(&a)
		content, err := a.Encode()
		if err == nil && content != before && a.ApplyTo(r).Kubernetes == "" { // the first that needs it
			a.Kubernetes = s.Kubernetes
			content, err = a.Encode()
		}
		if err == nil && content == before {
			if err = apply(); err == nil { // perhaps it was killed before that
				err = s.Commit()
			}
			return a, err
		}
		if err != nil {
			return a, err
		}
		dir, err := s.attributesShard(r.ID)
		if err != nil {
			return a, err
		}
		s.Step(stepChanging)
		name := attributesName(r.Stamp(), generation+1)
		if err := dir.Symlink(content, name); !errors.Is(err, fs.ErrExist) {
			if err != nil {
				return a, err
			}
			return a, s.finishChange(r, AttributesFile{File{dir, name}, r.Stamp(), generation + 1}, apply)
		}
	}
	return volume.Attributes{}, fmt.Errorf("the attributes of volume %s on %s change again and again: %w", r.ID, s.Volume, volume.ErrBusy)
}

func (s *Store) attributesShard(id string) (*safepath.Dir, error) {
	name := AttributesDir + "/" + shard(id)
	dir, err := s.ownDirectory(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := s.makeShard(AttributesDir, id); err != nil {
		return nil, err
	}
	return s.ownDirectory(name)
}

// finishChange applies what was changed, puts it on disk, and removes what counted before. Where the volume was given
// up meanwhile, by another controller, the link goes.
func (s *Store) finishChange(r volume.Record, link AttributesFile, apply func() error) error {
	s.Step(stepChanged)
	if gone, err := s.isGivenUp(r.Stamp()); err != nil || gone {
		if gone {
			err = errors.Join(fmt.Errorf("volume %s on %s: %w", r.ID, s.Volume, volume.ErrNotFound), volume.IgnoreNotExist(link.Dir.Unlink(link.Name)))
		}
		return err
	}
	err := apply()
	if err == nil {
		err = s.Commit()
	}
	if err != nil {
		return err
	}
	err = s.ForgetAttributes(r, link.generation)
	s.Step(stepForgotten)
	return err
}

// isGivenUp says whether there is neither a volume of a stamp nor an entry of it in the trash. What begins is looked
// for before what it becomes, and once more, as a restoration goes the other way.
func (s *Store) isGivenUp(stamp string) (bool, error) {
	id := volume.IDOfStamp(stamp)
	isReady := func() (bool, error) {
		f, err := s.Find(id)
		return f.State == Ready && f.Record.Stamp() == stamp, err
	}
	if there, err := isReady(); err != nil || there {
		return false, err
	}
	entries, err := s.Entries(id)
	if err != nil || slices.ContainsFunc(entries, func(e TrashEntry) bool { return e.Record.Stamp() == stamp }) {
		return false, err
	}
	there, err := isReady()
	return err == nil && !there, err
}

// ForgetAttributes removes the attributes of a volume, of all generations before this one; math.MaxInt64 when nothing
// else is left of the volume.
func (s *Store) ForgetAttributes(r volume.Record, before int64) error {
	files, err := s.filesIn(AttributesDir + "/" + shard(r.ID))
	errs := []error{err}
	for _, f := range files {
		if a, ok := parseAttributesFile(f); ok && a.stamp == r.Stamp() && a.generation < before {
			errs = append(errs, volume.IgnoreNotExist(f.Dir.Unlink(f.Name)))
		}
	}
	return errors.Join(errs...)
}

// AttributesFile is the name of a link, taken apart.
type AttributesFile struct {
	File
	stamp      string
	generation int64
}

func parseAttributesFile(f File) (AttributesFile, bool) {
	stamp, number, _ := cutLast(f.Name, ".")
	_, _, isStamp := volume.ParseStamp(stamp)
	generation, err := strconv.ParseInt(number, 10, 64)
	return AttributesFile{f, stamp, generation}, isStamp && err == nil && generation > 0 && attributesName(stamp, generation) == f.Name
}

func cutLast(s, sep string) (before, after string, found bool) {
	at := strings.LastIndex(s, sep)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(sep):], true
}

func attributesName(stamp string, generation int64) string {
	return stamp + "." + strconv.FormatInt(generation, 10)
}

// Latest are the links of the highest generation in one directory, by stamp.
func Latest(files []File) map[string]AttributesFile {
	found := map[string]AttributesFile{}
	for _, f := range files {
		if a, ok := parseAttributesFile(f); ok && a.generation > found[a.stamp].generation {
			found[a.stamp] = a
		}
	}
	return found
}
