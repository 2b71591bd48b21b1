// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// Page is a part of a list.
type Page struct {
	Records []volume.Record // in the order of the list
	Next    string          // the ID to go on after, "" at the end
	Damaged error           // names the records, and the directories of records, that are left out: IsUnreadable
	Begun   []Lookup        // volumes that are being made, which are no part of the list
}

// List returns at most limit volumes, with what was changed since they were made, that come after the one with the
// given ID ("" for the first); see list.
func (s *Store) List(after string, limit int) (page Page, err error) {
	ids, next, damaged, err := s.ids(after, limit)
	if err != nil {
		return Page{}, err
	}
	var links map[string]AttributesFile
	err = s.Both(func(s *Store) (err error) {
		page, err = s.read(ids)
		return err
	}, func(s *Store) (err error) {
		links, err = s.latestOf(ids)
		return s.Explain(err)
	})
	page.Next, page.Damaged = next, errors.Join(damaged, page.Damaged)
	if err == nil {
		err = s.Explain(s.allCurrent(&page, links))
	}
	return page, err
}

// list is List without what was changed.
func (s *Store) list(after string, limit int) (Page, error) {
	ids, next, damaged, err := s.ids(after, limit)
	if err != nil {
		return Page{}, err
	}
	page, err := s.read(ids)
	page.Next, page.Damaged = next, errors.Join(damaged, page.Damaged)
	return page, err
}

// ids returns at most limit volumes that come after the one with the given ID ("" for the first). The order is that of
// the directories that have the records, and of the IDs in each: a page reads the names in one or two of them, and the
// records of the page. Where more follow, next is the last of them.
func (s *Store) ids(after string, limit int) (ids []string, next string, damaged, err error) {
	before, err := s.listBefore()
	if err != nil {
		return nil, "", nil, s.Explain(err)
	}
	left, err := s.shardsFrom(after, before)
	for size := 1; err == nil && len(left) > 0 && len(ids) <= limit; size = permits.Readers { // the first is enough where there are many
		some := left[:min(size, len(left))]
		left = left[len(some):]
		lists := make([][]string, len(some))
		errs := make([]error, len(some))
		permits.Beside(s.Permit, len(some), func(i int) { lists[i], errs[i] = s.idsIn(some[i]) })
		for i, listErr := range errs {
			if volume.IsUnreadable(listErr) {
				damaged, errs[i] = errors.Join(damaged, s.Explain(listErr)), nil
			}
		}
		err = errors.Join(errs...)
		for i, list := range lists {
			list = append(list, before[some[i]]...)
			slices.Sort(list)
			for _, id := range slices.Compact(list) {
				if after == "" || some[i] != owndir.Shard(after) || id > after {
					ids = append(ids, id)
				}
			}
		}
	}
	if err != nil {
		return nil, "", nil, s.Explain(err)
	}
	if len(ids) > limit {
		ids = ids[:limit]
		next = ids[limit-1]
	}
	return ids, next, damaged, nil
}

// shardsFrom returns the names of the directories that have records, from that of an ID on, in order.
func (s *Store) shardsFrom(after string, before map[string][]string) ([]string, error) {
	files, err := s.FilesIn(owndir.VolumesDir)
	names := slices.Collect(maps.Keys(before))
	for _, f := range files {
		if owndir.IsShard(f.Name) {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if after != "" {
		names = slices.DeleteFunc(names, func(name string) bool { return name < owndir.Shard(after) })
	}
	return names, err
}

func (s *Store) idsIn(shard string) ([]string, error) {
	files, err := s.FilesIn(owndir.VolumesDir + "/" + shard)
	return idsOf(files), err
}

// idsOf are the IDs of the records among files.
func idsOf(files []owndir.File) (ids []string) {
	for _, f := range files {
		if id, isRecord := strings.CutSuffix(f.Name, RecordSuffix); isRecord {
			ids = append(ids, id)
		}
	}
	return ids
}

// listBefore returns the IDs of the records that are where all were before, by the shard they belong to.
func (s *Store) listBefore() (map[string][]string, error) {
	if s.IsSpread(owndir.VolumesDir) {
		return nil, nil
	}
	files, err := s.FilesIn(owndir.VolumesDir)
	ids := map[string][]string{}
	for _, id := range idsOf(files) {
		ids[owndir.Shard(id)] = append(ids[owndir.Shard(id)], id)
	}
	return ids, err
}

// ForEach calls do with the record of each volume, page by page. What is wrong with one is in the error, and holds up
// no other.
func (s *Store) ForEach(ctx context.Context, do func(volume.Record) error) error {
	var errs []error
	err := s.ForEachPage(ctx, func(p Page) {
		errs = append(errs, p.Damaged)
		for _, r := range p.Records {
			errs = append(errs, do(r))
		}
	})
	return errors.Join(append(errs, err)...)
}

// ForEachPage calls do with each page of the list. What of one could not be read is in the error.
func (s *Store) ForEachPage(ctx context.Context, do func(Page)) error {
	const size = 256
	var errs []error
	for after := ""; ; {
		page, err := s.list(after, size)
		errs = append(errs, err)
		do(page)
		if page.Next == "" || ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		after = page.Next
	}
}

// read returns the records of those that are there, in the order of ids. A record costs
// several exchanges with the client, so they are read side by side.
func (s *Store) read(ids []string) (Page, error) {
	all, errs := make([]Lookup, len(ids)), make([]error, len(ids))
	permits.Beside(s.Permit, len(ids), func(i int) { all[i], errs[i] = s.Find(ids[i]) })
	var page Page
	var damaged, failed []error
	for i, err := range errs {
		switch {
		case volume.IsUnreadable(err):
			damaged = append(damaged, err)
		case err != nil:
			failed = append(failed, err)
		case all[i].State == Begun:
			page.Begun = append(page.Begun, all[i])
		case all[i].State == Ready:
			page.Records = append(page.Records, all[i].Record)
		}
	}
	page.Damaged = errors.Join(damaged...)
	return page, errors.Join(failed...)
}

// IDs lists the IDs of all records, of what is being made, too.
func (s *Store) IDs() ([]string, error) {
	files, err := s.Files(owndir.VolumesDir)
	ids := idsOf(files)
	slices.Sort(ids)
	return slices.Compact(ids), s.Explain(err) // in two places for a moment while the reconciler moves it
}

// Size is what a volume counts with.
type Size struct {
	Bytes    int64 // its capacity
	IsOthers bool  // it is another Kubernetes cluster's
}

// Sizes returns those of the volumes that are ready. What is wrong with one alone is apart from the error.
func (s *Store) Sizes(ctx context.Context, ids []string) (found map[string]Size, unreadable, err error) {
	found = map[string]Size{}
	const size = 256
	var damaged []error
	for some := range slices.Chunk(ids, size) {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		all, errs := make([]volume.Record, len(some)), make([]error, len(some))
		permits.Beside(s.Permit, len(some), func(i int) { all[i], errs[i] = s.GetAsMade(some[i]) })
		var page Page
		for i, err := range errs {
			switch {
			case errors.Is(err, volume.ErrNotFound): // being made, or deleted meanwhile
			case volume.IsUnreadable(err):
				damaged = append(damaged, err)
			case err != nil:
				return nil, nil, err
			default:
				page.Records = append(page.Records, all[i])
			}
		}
		links, err := s.latestOf(some)
		if err == nil {
			err = s.allCurrent(&page, links)
		}
		if err != nil {
			return nil, nil, s.Explain(err)
		}
		damaged = append(damaged, page.Damaged)
		for _, r := range page.Records {
			found[r.ID] = Size{r.Capacity, s.Kubernetes != "" && volume.IsOthers(r.Kubernetes, s.Kubernetes)}
		}
	}
	return found, errors.Join(damaged...), nil
}
