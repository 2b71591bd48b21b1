// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// Page is a part of a list.
type Page struct {
	Records []Record // in the order of their IDs
	Next    string   // the ID to go on after, "" at the end
	Damaged error    // names the records that are left out: ErrCorrupt, ErrNewer
}

// List returns at most limit volumes whose IDs sort after the given one. It reads the names of all
// and the records of the page.
func (s *Store) List(after string, limit int) (Page, error) {
	dir, err := s.dir(volumesDir)
	if errors.Is(err, fs.ErrNotExist) {
		return Page{}, nil
	}
	if err != nil {
		return Page{}, s.explain(err)
	}
	names, err := dir.Names(0)
	if err != nil {
		return Page{}, s.explain(err)
	}
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, recordSuffix); ok && id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	next := ""
	if len(ids) > limit {
		ids = ids[:limit]
		next = ids[limit-1]
	}
	page, err := s.read(ids)
	page.Next = next
	return page, err
}

// forEach calls do with the record of each volume, page by page. What is wrong with one is in the error, and holds up no
// other.
func (s *Store) forEach(ctx context.Context, do func(Record) error) error {
	const size = 256
	var errs []error
	for after := ""; ; {
		page, err := s.List(after, size)
		errs = append(errs, err, page.Damaged)
		for _, r := range page.Records {
			errs = append(errs, do(r))
		}
		if page.Next == "" || ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		after = page.Next
	}
}

// read returns the records of those that are there, in the order of ids. A record costs
// several exchanges with the client, so they are read side by side.
func (s *Store) read(ids []string) (Page, error) {
	found, errs := make([]Record, len(ids)), make([]error, len(ids))
	beside(s.permit, len(ids), func(i int) { found[i], errs[i] = s.Get(ids[i]) })
	var page Page
	var damaged, failed []error
	for i, err := range errs {
		switch {
		case errors.Is(err, ErrNotFound): // deleted meanwhile
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewer):
			damaged = append(damaged, err)
		case err != nil:
			failed = append(failed, err)
		default:
			page.Records = append(page.Records, found[i])
		}
	}
	page.Damaged = errors.Join(damaged...)
	return page, errors.Join(failed...)
}
