// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// The named points of a change.
const (
	stepChanging  = "change: attributes read"
	stepChanged   = "change: new attributes made"
	stepForgotten = "change: earlier ones removed"
)

// Change is what is to become of the attributes of a volume.
type Change struct {
	// To makes them what they are to be.
	To func(*volume.Attributes) error
	// Apply does what follows from them, and Commit. It may be called once more for what is so already, and for a volume
	// that was just given up.
	Apply func(*Store, volume.Attributes) error
}

// OnlyCommit is the Apply of what nothing follows from.
func OnlyCommit(s *Store, _ volume.Attributes) error { return s.Commit() }

// ChangeAttributes gives a volume that is there other attributes, unless it has them, and then has them applied. They
// are on disk when it returns, and so is what was applied. seen is what was found of the volume a moment ago; nil: it
// is looked up.
func (s *Store) ChangeAttributes(r volume.Record, seen *Changed, change Change) (volume.Attributes, error) {
	const attempts = 10
	for range attempts {
		if seen == nil {
			c, err := s.attributesOf(r)
			if err != nil {
				return c.Attributes, err
			}
			seen = &c
		}
		a, content, err := s.changed(seen.Attributes, r, change.To)
		if err != nil {
			return a, err
		}
		if content == "" {
			return a, change.Apply(s, a) // perhaps it was killed before that
		}
		dir, err := s.EnsureOwnShard(owndir.AttributesDir, r.ID)
		if err != nil {
			return a, err
		}
		s.Step(stepChanging)
		link := owndir.File{Dir: dir, Name: attributesName(r.Stamp(), seen.generation+1)}
		err = s.ClaimLink(dir, content, link.Name)
		if err == nil {
			err = s.finishChange(r, link, seen, func(s *Store) error { return change.Apply(s, a) })
		}
		if !errors.Is(err, fs.ErrExist) {
			return a, err
		}
		seen = nil
	}
	return volume.Attributes{}, fmt.Errorf("the attributes of volume %s on %s change again and again: %w", r.ID, s.Volume, volume.ErrBusy)
}

// changed returns attributes as they are to be, and what is to be written down: "" if they are so already.
func (s *Store) changed(a volume.Attributes, r volume.Record, to func(*volume.Attributes) error) (_ volume.Attributes, content string, err error) {
	before, err := a.Encode()
	if err == nil {
		err = to(&a)
	}
	if err == nil {
		content, err = a.Encode()
	}
	if err == nil && content != before && a.ApplyTo(r).Kubernetes == "" { // the first that needs it
		a.Kubernetes = s.Kubernetes
		content, err = a.Encode()
	}
	if content == before {
		content = ""
	}
	return a, content, err
}

// finishChange applies what was changed, which puts it on disk, and removes what counted before. Where the volume was
// given up meanwhile, by another controller, the link goes. So it does, with fs.ErrExist, where others have changed the
// volume more than once, and removed the generation that it has the name of (TestAnExpansionThatStoodStillCounts): the
// name was free then, but what counts was there.
func (s *Store) finishChange(r volume.Record, link owndir.File, seen *Changed, apply func(*Store) error) error {
	defer s.DropFirstNames() // of who does not come to Commit
	s.Step(stepChanged)
	var useless, applied error
	err := s.Both(func(s *Store) (err error) {
		useless, err = s.isUseless(r, seen.generation+1)
		return err
	}, func(s *Store) error {
		applied = apply(s)
		return nil
	})
	if useless != nil {
		return errors.Join(useless, volume.IgnoreNotExist(link.Dir.Unlink(link.Name)))
	}
	if err = errors.Join(err, applied); err != nil {
		return err
	}
	err = s.removeAttributes(seen.all)
	s.Step(stepForgotten)
	return err
}

// isUseless says why a change that has made a generation counts for nothing, if it does.
func (s *Store) isUseless(r volume.Record, generation int64) (useless, err error) {
	var gone bool
	var files []owndir.File
	err = s.Both(func(s *Store) (err error) {
		gone, err = s.IsGivenUp(r.Stamp())
		return err
	}, func(s *Store) (err error) {
		files, err = s.FilesIn(attributesNear(r.ID))
		return err
	})
	switch {
	case gone:
		useless = fmt.Errorf("volume %s on %s: %w", r.ID, s.Volume, volume.ErrNotFound)
	case Latest(files)[r.Stamp()].generation > generation:
		useless = fs.ErrExist
	}
	return useless, err
}

// IsGivenUp says whether there is neither a volume of a stamp nor an entry of it in the trash. What begins is looked
// for before what it becomes, and once more, as a restoration goes the other way.
func (s *Store) IsGivenUp(stamp string) (bool, error) {
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

// ForgetAttributes removes the attributes of a volume of which nothing else is left.
func (s *Store) ForgetAttributes(r volume.Record) error {
	files, err := s.FilesIn(attributesNear(r.ID))
	return errors.Join(err, s.removeAttributes(attributesFiles(files, r.Stamp())))
}

func (s *Store) removeAttributes(all []AttributesFile) error {
	errs := make([]error, len(all))
	permits.Beside(s.Permit, len(all), func(i int) { errs[i] = volume.IgnoreNotExist(all[i].Dir.Unlink(all[i].Name)) })
	return errors.Join(errs...)
}
