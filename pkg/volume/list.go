// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// readers bounds the records being read at once.
const readers = 8

// Page is a part of a list.
type Page struct {
	Records []Record // in the order of the list
	Next    string   // the ID to go on after, "" at the end
	Damaged error    // names the records that are left out: ErrCorrupt, ErrNewer
	begun   []found  // volumes that are being made, which are no part of the list
}

// List returns at most limit volumes, with what was changed since they were made, that come after the one with the given
// ID ("" for the first); see list.
func (s *Store) List(after string, limit int) (Page, error) {
	page, err := s.list(after, limit)
	if err == nil {
		err = s.explain(s.allCurrent(&page))
	}
	return page, err
}

// list returns at most limit volumes that come after the one with the given ID ("" for the first). The order is that of
// the directories that have the records, and of the IDs in each: a page reads the names in one or two of them, and the
// records of the page.
func (s *Store) list(after string, limit int) (Page, error) {
	before, err := s.listBefore()
	if err != nil {
		return Page{}, s.explain(err)
	}
	var ids []string
	first := 0
	if after != "" {
		first = shardNumber(after)
	}
	for n := first; n < shards && len(ids) <= limit; n++ {
		files, err := s.filesIn(volumesDir + "/" + shardName(n))
		if err != nil {
			return Page{}, s.explain(err)
		}
		inShard := before[n]
		for _, f := range files {
			if id, ok := strings.CutSuffix(f.name, recordSuffix); ok {
				inShard = append(inShard, id)
			}
		}
		slices.Sort(inShard)
		for _, id := range slices.Compact(inShard) {
			if n > first || id > after {
				ids = append(ids, id)
			}
		}
	}
	next := ""
	if len(ids) > limit {
		ids = ids[:limit]
		next = ids[limit-1]
	}
	page, err := s.read(ids)
	page.Next = next
	return page, err
}

// listBefore returns the IDs of the records that are where all were before, by the number of the shard they belong to.
func (s *Store) listBefore() (map[int][]string, error) {
	if s.sightings.flat.isEmpty(volumesDir) {
		return nil, nil
	}
	files, err := s.filesIn(volumesDir)
	ids := map[int][]string{}
	for _, f := range files {
		if id, ok := strings.CutSuffix(f.name, recordSuffix); ok {
			ids[shardNumber(id)] = append(ids[shardNumber(id)], id)
		}
	}
	return ids, err
}

// forEach calls do with the record of each volume, page by page. What is wrong with one is in the error, and holds up no
// other.
func (s *Store) forEach(ctx context.Context, do func(Record) error) error {
	var errs []error
	err := s.forEachPage(ctx, func(p Page) {
		errs = append(errs, p.Damaged)
		for _, r := range p.Records {
			errs = append(errs, do(r))
		}
	})
	return errors.Join(append(errs, err)...)
}

// forEachPage calls do with each page of the list. What of one could not be read is in the error.
func (s *Store) forEachPage(ctx context.Context, do func(Page)) error {
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
	all, errs := make([]found, len(ids)), make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(readers)
	for i, id := range ids {
		group.Go(func() error {
			all[i], errs[i] = s.look(id)
			return nil
		})
	}
	_ = group.Wait() // each error is judged below
	var page Page
	var damaged, failed []error
	for i, err := range errs {
		switch {
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewer):
			damaged = append(damaged, err)
		case err != nil:
			failed = append(failed, err)
		case all[i].state == begun:
			page.begun = append(page.begun, all[i])
		case all[i].state == ready:
			page.Records = append(page.Records, all[i].record)
		}
	}
	page.Damaged = errors.Join(damaged...)
	return page, errors.Join(failed...)
}
