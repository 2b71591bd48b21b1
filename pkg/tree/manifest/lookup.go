// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"slices"
	"sort"
	"sync"
)

// cacheSize is how many blocks of a table are kept that were used at last: 2 MiB. Those of one directory lie together, and a
// read of a file on GlusterFS asks for its attributes each time where the client believes nothing that it knew.
const cacheSize = 64

// cache has the blocks used at last, the latest at the end.
type cache struct {
	mu     sync.Mutex
	blocks []cached
}

type cached struct {
	number int
	data   []byte
}

func (c *cache) block(t *Table, number int) ([]byte, error) {
	if data := c.has(number); data != nil {
		return data, nil
	}
	data, err := t.block(number)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.blocks) == cacheSize {
		c.blocks = slices.Delete(c.blocks, 0, 1)
	}
	c.blocks = append(c.blocks, cached{number, data})
	return data, nil
}

func (c *cache) has(number int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.blocks, func(each cached) bool { return each.number == number })
	if i < 0 {
		return nil
	}
	found := c.blocks[i]
	c.blocks = append(slices.Delete(c.blocks, i, i+1), found)
	return found.data
}

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

// Several returns the inodes of what has several names in the table.
func (t *Table) Several() (map[uint64]bool, error) {
	found := map[uint64]bool{}
	err := t.from(Directory{}, "", func(r *Record, _ int64) bool {
		if r.Another {
			found[r.Inode] = true
		}
		return true
	})
	return found, err
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
	data, err := t.cache.block(t, i)
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
