// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	tableName  = "manifest"
	knownName  = "known" // what earlier attempts have written, merged
	partPrefix = "part."

	// bufferSize is about how much memory the records take that are sorted at once, in bytes.
	bufferSize = 8 << 20
	recordSize = 144 // of one, without its name
	// maxParts is how many files are merged at once, each with a block of its own in memory.
	maxParts = 64
)

// Writer collects the records of a copy. Its methods may be called by several goroutines.
type Writer struct {
	dir    *safepath.Dir
	limit  int
	known  *Table
	mu     sync.Mutex
	buffer []Record
	size   int
	parts  []string
	made   int
}

// Open begins a manifest in dir. What earlier attempts left there, and a finished manifest, is known from then on, but
// no part of the new one.
func Open(dir *safepath.Dir) (*Writer, error) {
	names, err := dir.Names(0)
	if err != nil {
		return nil, err
	}
	var left, old []string
	for _, name := range names {
		if strings.HasSuffix(name, asideSuffix) {
			continue // what was not finished is overwritten
		}
		if strings.HasPrefix(name, partPrefix) {
			old = append(old, name)
		}
	}
	slices.SortFunc(old, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	for _, name := range []string{knownName, tableName} {
		if slices.Contains(names, name) {
			left = append(left, name)
		}
	}
	if left = append(left, old...); len(left) > 1 || len(left) == 1 && left[0] != knownName {
		if err := mergeAll(dir, left, knownName); err != nil {
			return nil, err
		}
	}
	w := &Writer{dir: dir, limit: bufferSize}
	if len(left) > 0 {
		w.known, err = open(dir, knownName)
	}
	return w, err
}

// Known is the record that an earlier attempt has made.
func (w *Writer) Known(in Directory, name string) (r Record, found bool, err error) {
	r, _, found, err = w.known.Find(in, name)
	return r, found, err
}

// Add takes a record. Of two of one name the later counts.
func (w *Writer) Add(r Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buffer = append(w.buffer, r)
	if w.size += recordSize + len(r.Name); w.size < w.limit {
		return nil
	}
	return w.flush()
}

// flush writes what is in memory to a file of its own.
func (w *Writer) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	slices.SortStableFunc(w.buffer, func(a, b Record) int { return compare(&a, &b) })
	name := w.nextPart()
	out, err := create(w.dir, name)
	for i := range w.buffer {
		if err != nil {
			break
		}
		if i+1 < len(w.buffer) && compare(&w.buffer[i], &w.buffer[i+1]) == 0 {
			continue
		}
		err = out.add(&w.buffer[i])
	}
	if err = closeTable(out, err); err != nil {
		return err
	}
	clear(w.buffer)
	w.buffer, w.size = w.buffer[:0], 0
	if w.parts = append(w.parts, name); len(w.parts) < maxParts {
		return nil
	}
	merged := w.nextPart()
	if err := mergeAll(w.dir, w.parts, merged); err != nil {
		return err
	}
	w.parts = []string{merged}
	return nil
}

func (w *Writer) nextPart() string {
	w.made++
	return fmt.Sprint(partPrefix, w.made)
}

func closeTable(out *fileWriter, err error) error {
	if err == nil {
		return out.finish()
	}
	if out != nil {
		out.abandon()
	}
	return err
}

// Close keeps what was added for the next attempt.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.flush()
	w.known.Close()
	w.known = nil
	return err
}

// Finish makes the table of what was added, in the place of what was known.
func (w *Writer) Finish() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.flush(); err != nil {
		return err
	}
	if err := mergeAll(w.dir, w.parts, tableName); err != nil {
		return err
	}
	w.parts = nil
	w.known.Close()
	w.known = nil
	return ignoreNotExist(w.dir.Unlink(knownName))
}

// mergeAll makes one table of several and removes them. Of two records of one name that of the later table counts.
func mergeAll(dir *safepath.Dir, names []string, to string) (err error) {
	sources := &merging{}
	defer func() {
		for _, each := range sources.all {
			each.table.Close()
		}
	}()
	for i, name := range names {
		table, err := open(dir, name)
		if err != nil {
			return err
		}
		sources.all = append(sources.all, &source{table: table, order: i})
	}
	out, err := create(dir, to)
	if err == nil {
		err = sources.write(out)
	}
	if err = closeTable(out, err); err != nil {
		return err
	}
	for _, name := range names {
		if name != to {
			err = errors.Join(err, ignoreNotExist(dir.Unlink(name)))
		}
	}
	return err
}

// source is a table that is read from its beginning to its end.
type source struct {
	table   *Table
	order   int
	block   int
	records decoder
	record  Record
}

// next returns false at the end.
func (s *source) next() (bool, error) {
	for !s.records.next(&s.record) {
		if s.records.failed {
			return false, s.table.damaged("a record in it is wrong")
		}
		if s.block == len(s.table.blocks) {
			return false, nil
		}
		data, err := s.table.block(s.block)
		if err != nil {
			return false, err
		}
		s.records.rest = data
		s.block++
	}
	return true, nil
}

// merging is a heap of the sources that have more, that with the least record first, and the latest of the same.
type merging struct {
	all  []*source
	heap []*source
}

func (m *merging) Len() int { return len(m.heap) }

func (m *merging) Less(i, j int) bool {
	a, b := m.heap[i], m.heap[j]
	order := compare(&a.record, &b.record)
	return order < 0 || order == 0 && a.order > b.order
}

func (m *merging) Swap(i, j int) { m.heap[i], m.heap[j] = m.heap[j], m.heap[i] }

// Push is not used: nothing comes later.
func (m *merging) Push(any) {}

// Pop takes the last away.
func (m *merging) Pop() any {
	last := len(m.heap) - 1
	m.heap = m.heap[:last]
	return nil
}

func (m *merging) write(out *fileWriter) error {
	for _, each := range m.all {
		more, err := each.next()
		if err != nil {
			return err
		}
		if more {
			m.heap = append(m.heap, each)
		}
	}
	heap.Init(m)
	var last Record
	written := false
	for len(m.heap) > 0 {
		least := m.heap[0]
		if !written || compare(&least.record, &last) != 0 {
			if err := out.add(&least.record); err != nil {
				return err
			}
			last, written = least.record, true
		}
		more, err := least.next()
		if err != nil {
			return err
		}
		if more {
			heap.Fix(m, 0)
		} else {
			heap.Remove(m, 0)
		}
	}
	return nil
}
