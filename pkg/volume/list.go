// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

const listPage = 500

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
		return nil, "", explain(err)
	}
	names, err := dir.Names(0)
	if err != nil {
		return nil, "", explain(err)
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
	var damaged []error
	for _, id := range ids {
		r, err := s.Get(id)
		switch {
		case errors.Is(err, ErrNotFound): // deleted meanwhile
		case err != nil:
			damaged = append(damaged, err)
		default:
			records = append(records, r)
		}
	}
	return records, next, errors.Join(damaged...)
}
