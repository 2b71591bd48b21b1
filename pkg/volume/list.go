// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// readers bounds the records being read at once.
const readers = 8

// List returns the records of at most limit volumes whose IDs sort after the given
// one, in order, and the ID to go on after, "" at the end. It reads the names of all
// and the records of the page. Records that are damaged are left out and named in the
// error, beside the others.
func (s *Store) List(after string, limit int) (records []Record, next string, err error) {
	dir, err := s.dir(volumesDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", s.explain(err)
	}
	names, err := dir.Names(0)
	if err != nil {
		return nil, "", s.explain(err)
	}
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, recordSuffix); ok && id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) > limit {
		ids = ids[:limit]
		next = ids[limit-1]
	}
	records, err = s.read(ids)
	return records, next, err
}

// forEach calls do with the record of each volume, page by page. What is wrong with one is in the error, and holds up no
// other.
func (s *Store) forEach(ctx context.Context, do func(Record) error) error {
	const page = 256
	var errs []error
	for after := ""; ; {
		records, next, err := s.List(after, page)
		errs = append(errs, err)
		for _, r := range records {
			errs = append(errs, do(r))
		}
		if next == "" || ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		after = next
	}
}

// read returns the records of those that are there, in the order of ids. A record costs
// several exchanges with the client, so they are read side by side.
func (s *Store) read(ids []string) ([]Record, error) {
	found, errs := make([]Record, len(ids)), make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(readers)
	for i, id := range ids {
		group.Go(func() error {
			found[i], errs[i] = s.Get(id)
			return nil
		})
	}
	_ = group.Wait() // each error is judged below
	var records []Record
	var damaged []error
	for i, err := range errs {
		switch {
		case errors.Is(err, ErrNotFound): // deleted meanwhile
		case err != nil:
			damaged = append(damaged, err)
		default:
			records = append(records, found[i])
		}
	}
	return records, errors.Join(damaged...)
}
