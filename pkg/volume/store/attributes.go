// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// What may change of a volume stands apart from its record, in a symbolic link that is named by the volume's stamp and
// a generation: attributes/<stamp>.<generation>. The highest generation counts, and says all; the record says what does
// not change, and the rest as long as there is no link. A link is made whole and exclusive (pkg owndir, claims.go): so
// of two that change a volume at once, the one that comes second finds the generation taken, and reads again.
//
// No name is ever given twice: a server that forgot, when its power went, that a name was removed, or made, would come
// back with another file of that name, which GlusterFS cannot heal. So the links of earlier generations go when the new
// one is on disk, and may come back: they count for nothing. Who stood still before it made a link, and has found the
// name free as such a one had gone, takes its own back (isUseless). The stamp is of one life of an ID: a volume that is
// made again has nothing of the one before.

// Changed is what was changed of a volume, as it was found.
type Changed struct {
	volume.Attributes

	generation int64            // 0 where there is nothing
	all        []AttributesFile // of the volume, of all generations
}

// attributesOf returns what counts instead of a record. It costs one lookup more where nothing of the record's
// directory was ever changed, and reading a directory where something was.
func (s *Store) attributesOf(r volume.Record) (Changed, error) {
	const attempts = 3
	for range attempts {
		files, err := s.FilesIn(attributesNear(r.ID))
		if err != nil {
			return Changed{}, err
		}
		c, err := s.attributesIn(files, r)
		if !errors.Is(err, fs.ErrNotExist) { // else changed meanwhile, and removed
			return c, err
		}
	}
	return Changed{}, fmt.Errorf("the attributes of volume %s on %s change again and again: %w", r.ID, s.Volume, volume.ErrBusy)
}

// attributesNear is the directory in which the attributes of a volume are.
func attributesNear(id string) string { return owndir.AttributesDir + "/" + owndir.Shard(id) }

// attributesIn is attributesOf a directory that was listed; fs.ErrNotExist if what it had is gone.
func (s *Store) attributesIn(files []owndir.File, r volume.Record) (Changed, error) {
	all := attributesFiles(files, r.Stamp())
	if len(all) == 0 {
		return Changed{}, nil
	}
	latest := slices.MaxFunc(all, func(a, b AttributesFile) int { return cmp.Compare(a.generation, b.generation) })
	a, err := s.ReadAttributes(latest)
	return Changed{a, latest.generation, all}, err
}

// FindChanged finds the record of a volume, and what was changed of it if it is ready.
func (s *Store) FindChanged(id string) (f Lookup, c Changed, err error) {
	var files []owndir.File
	var listed error
	err = s.Both(func(s *Store) (err error) {
		f, err = s.Find(id)
		return err
	}, func(s *Store) error {
		files, listed = s.FilesIn(attributesNear(id))
		return nil
	})
	if err != nil || f.State != Ready {
		return f, c, err
	}
	if err = listed; err == nil {
		c, err = s.attributesIn(files, f.Record)
	}
	if errors.Is(err, fs.ErrNotExist) {
		c, err = s.attributesOf(f.Record)
	}
	return f, c, s.Explain(err)
}

// ReadAttributes reads one link; fs.ErrNotExist if it went meanwhile.
func (s *Store) ReadAttributes(link AttributesFile) (volume.Attributes, error) {
	content, err := owndir.Readlink(link.Dir, link.Name)
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
	c, err := s.attributesOf(r)
	return c.ApplyTo(r), s.Explain(err)
}

// allCurrent is Current for a page of records, by what latestOf has found. Those that cannot be read are left out, and
// named in the page.
func (s *Store) allCurrent(p *Page, links map[string]AttributesFile) error {
	errs := make([]error, len(p.Records))
	permits.Beside(s.Permit, len(p.Records), func(i int) {
		r := &p.Records[i]
		link, changed := links[r.Stamp()]
		if !changed {
			return
		}
		a, err := s.ReadAttributes(link)
		if errors.Is(err, fs.ErrNotExist) { // changed again
			var now Changed
			now, err = s.attributesOf(*r)
			a = now.Attributes
		}
		*r, errs[i] = a.ApplyTo(*r), s.Explain(err)
	})
	var records []volume.Record
	for i, r := range p.Records {
		switch {
		case volume.IsUnreadable(errs[i]):
			p.Damaged = errors.Join(p.Damaged, errs[i])
		case errs[i] != nil:
			return errs[i]
		default:
			records = append(records, r)
		}
	}
	p.Records = records
	return nil
}

// latestOf lists the directories that have the attributes of volumes, each once, and returns the latest, by stamp.
func (s *Store) latestOf(ids []string) (map[string]AttributesFile, error) {
	if _, err := s.OwnDirectory(owndir.AttributesDir); err != nil {
		return nil, volume.IgnoreNotExist(err)
	}
	near := map[string]bool{}
	for _, id := range ids {
		near[attributesNear(id)] = true
	}
	dirs := slices.Sorted(maps.Keys(near))
	lists, errs := make([][]owndir.File, len(dirs)), make([]error, len(dirs))
	permits.Beside(s.Permit, len(dirs), func(i int) { lists[i], errs[i] = s.FilesIn(dirs[i]) })
	return Latest(slices.Concat(lists...)), errors.Join(errs...)
}

// AttributesFile is the name of a link, taken apart.
type AttributesFile struct {
	owndir.File
	stamp      string
	generation int64
}

func parseAttributesFile(f owndir.File) (AttributesFile, bool) {
	stamp, number, _ := cutLast(f.Name, ".")
	_, _, isStamp := volume.ParseStamp(stamp)
	generation, err := strconv.ParseInt(number, 10, 64)
	return AttributesFile{f, stamp, generation}, isStamp && err == nil && generation > 0 && attributesName(stamp, generation) == f.Name
}

// attributesFiles are those of a stamp.
func attributesFiles(files []owndir.File, stamp string) (all []AttributesFile) {
	for _, f := range files {
		if a, ok := parseAttributesFile(f); ok && a.stamp == stamp {
			all = append(all, a)
		}
	}
	return all
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
func Latest(files []owndir.File) map[string]AttributesFile {
	found := map[string]AttributesFile{}
	for _, f := range files {
		if a, ok := parseAttributesFile(f); ok && a.generation > found[a.stamp].generation {
			found[a.stamp] = a
		}
	}
	return found
}

// SettleAttributes removes what a kill, or a server that has forgotten a removal, has left: attributes of an earlier
// generation, and those of volumes of which each look of a day has found nothing.
func (s *Store) SettleAttributes(alone func(id string, do func() error)) error {
	files, err := s.Files(owndir.AttributesDir)
	if err != nil {
		return s.Explain(err)
	}
	counts := Latest(files)
	seen := map[string]bool{}
	var older []AttributesFile
	for _, f := range files {
		if a, ok := parseAttributesFile(f); ok && a.generation < counts[a.stamp].generation {
			older = append(older, a)
		}
	}
	if len(older) > 0 {
		if err := s.Commit(); err != nil { // first what counts instead
			return s.Explain(err)
		}
	}
	for _, a := range older {
		alone(volume.IDOfStamp(a.stamp), func() error { return volume.IgnoreNotExist(a.Dir.Unlink(a.Name)) })
	}
	for stamp := range counts {
		gone, goneErr := s.IsGivenUp(stamp)
		if gone {
			seen[stamp] = true
		}
		if gone && s.IsLost(&s.Memory.attributes, stamp) {
			alone(volume.IDOfStamp(stamp), func() error { return s.ForgetAttributesOfNone(stamp) })
		}
		err = errors.Join(err, goneErr)
	}
	s.Memory.attributes.Keep(seen)
	return s.Explain(err)
}

// ForgetAttributesOfNone removes the attributes of a volume of which nothing is left.
func (s *Store) ForgetAttributesOfNone(stamp string) error {
	gone, err := s.IsGivenUp(stamp)
	if err == nil && !gone {
		err = fmt.Errorf("volume %s on %s is there again: %w", volume.IDOfStamp(stamp), s.Volume, volume.ErrBusy)
	}
	if err != nil {
		return err
	}
	id, created, _ := volume.ParseStamp(stamp)
	return s.ForgetAttributes(volume.Record{ID: id, Created: created})
}
