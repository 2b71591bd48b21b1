// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"sort"
)

// Find returns the record of a name, and its number among all. A nil table has none.
func (t *Table) Find(in Directory, name string) (r Record, number int64, found bool, err error) {
	if t == nil {
		return r, 0, false, nil
	}
	err = t.from(in, name, func(at *Record, n int64) bool {
		if at.In == in && at.Name == name {
			r, number, found = *at, n, true
		}
		return false
	})
	return r, number, found, err
}

// Each calls fn with the records of a directory, in the order of their names, as long as it returns true.
func (t *Table) Each(in Directory, fn func(r *Record, number int64) bool) error {
	return t.from(in, "", func(r *Record, number int64) bool { return r.In == in && fn(r, number) })
}

// from calls fn with each record from the given one on, or the first after it.
func (t *Table) from(in Directory, name string, fn func(r *Record, number int64) bool) error {
	key := string(in[:]) + name
	at := sort.Search(len(t.blocks), func(i int) bool { return t.blocks[i].first > key })
	least := Record{In: in, Name: name}
	for i := max(at-1, 0); i < len(t.blocks); i++ {
		more, err := t.inBlock(i, &least, fn)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// inBlock calls fn with each record of a block from the given one on, as long as it returns true.
func (t *Table) inBlock(i int, least *Record, fn func(r *Record, number int64) bool) (more bool, err error) {
	data, err := t.read(t.blocks[i].at, -1)
	if err != nil {
		return false, err
	}
	records := decoder{rest: data}
	var r Record
	for records.nextFrom(least, &r) {
		if !fn(&r, t.blocks[i].from+records.count-1) {
			return false, nil
		}
	}
	if records.failed {
		return false, t.damaged("a record in it is wrong")
	}
	return true, nil
}
