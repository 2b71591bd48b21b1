// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func temporary(t *testing.T) *safepath.Dir {
	t.Helper()
	dir, err := safepath.OpenRoot(t.TempDir())
	must(t, err)
	t.Cleanup(dir.Close)
	return dir
}

// record makes the n-th of a test, in one of some directories.
func record(n int) Record {
	r := Record{In: Directory{}.Below(fmt.Sprint("d", n%7)), Name: fmt.Sprint("name\n\xff", n), Kind: unix.S_IFREG, Source: Source{
		Inode: uint64(n) << 40, Size: int64(n) * 3, Mtime: unix.Timespec{Sec: int64(n) - 50, Nsec: int64(n)}, Ctime: unix.Timespec{Sec: 1 << 33, Nsec: 999_999_999},
	}}
	if n%3 == 0 {
		r.Hashed, r.Hash = true, [32]byte{byte(n), 1}
	}
	r.Another = n%5 == 0
	return r
}

func write(t *testing.T, dir *safepath.Dir, limit, from, to int) *Writer {
	t.Helper()
	w, err := Open(dir)
	must(t, err)
	w.limit = limit
	for _, n := range rand.Perm(to - from) {
		must(t, w.Add(record(from+n)))
	}
	return w
}

func has(t *testing.T, table *Table, n int) bool {
	t.Helper()
	want := record(n)
	got, _, found, err := table.Find(want.In, want.Name)
	must(t, err)
	if found && got != want {
		t.Errorf("record %d is %+v", n, got)
	}
	return found
}

func TestEachRecordIsFoundByItsName(t *testing.T) {
	for _, count := range []int{0, 1, 10, 1000} {
		for _, limit := range []int{1, 10_000, bufferSize} {
			if count == 1000 && limit == 1 {
				limit = 1000 // merges of merges, without a file for each record
			}
			t.Run(fmt.Sprint(count, " in ", limit), func(t *testing.T) {
				dir := temporary(t)
				w := write(t, dir, limit, 0, count)
				must(t, w.Finish(), w.Close())
				table, err := OpenTable(dir)
				must(t, err)
				defer table.Close()
				if table.Count != int64(count) {
					t.Errorf("%d records", table.Count)
				}
				for n := range count {
					if !has(t, table, n) {
						t.Fatalf("record %d is missing", n)
					}
				}
				if has(t, table, count) {
					t.Error("one more is found")
				}
				var names []string
				numbers := map[int64]bool{}
				must(t, table.Each(record(3).In, func(r *Record, number int64) bool {
					names = append(names, r.Name)
					numbers[number] = true
					return true
				}))
				if !slices.IsSorted(names) || len(names) != (count+3)/7 || len(numbers) != len(names) {
					t.Errorf("a directory has %d names, of %d numbers", len(names), len(numbers))
				}
				if left, err := dir.Names(0); err != nil || !slices.Equal(left, []string{tableName}) {
					t.Errorf("%q is left, %v", left, err)
				}
			})
		}
	}
}

func TestWhatAnEarlierAttemptWroteIsKnownAndNotPartOfTheNext(t *testing.T) {
	dir := temporary(t)
	must(t, write(t, dir, 4000, 0, 300).Close())
	must(t, write(t, dir, 4000, 200, 500).Close())
	w, err := Open(dir)
	must(t, err)
	for n := range 500 {
		want := record(n)
		if r, found, err := w.Known(want.In, want.Name); err != nil || !found || r != want {
			t.Fatalf("record %d: %v, %v, %v", n, r, found, err)
		}
	}
	changed := record(3)
	changed.Size = 7
	must(t, w.Add(record(3)), w.Add(changed), w.Finish(), w.Close())
	table, err := OpenTable(dir)
	must(t, err)
	defer table.Close()
	if r, _, found, err := table.Find(changed.In, changed.Name); table.Count != 1 || !found || err != nil || r != changed {
		t.Errorf("%d records, %v, %v, %v", table.Count, r, found, err)
	}
	again, err := Open(dir) // a finished manifest is known, too, and finished no more
	must(t, err)
	if r, found, err := again.Known(changed.In, changed.Name); err != nil || !found || r != changed {
		t.Errorf("%v, %v, %v", r, found, err)
	}
	if _, err := OpenTable(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the manifest that was begun again: %v", err)
	}
	must(t, again.Close())
}

// Any byte that is not what was written is told, and no wrong record.
func TestADamagedTableSaysSo(t *testing.T) {
	dir := temporary(t)
	w := write(t, dir, bufferSize, 0, 1000)
	must(t, w.Finish(), w.Close())
	path := filepath.Join(dir.Name(), tableName)
	whole, err := os.ReadFile(path)
	must(t, err)
	for range 200 {
		damaged := slices.Clone(whole)
		if rand.IntN(4) == 0 {
			damaged = damaged[:rand.IntN(len(damaged))]
		} else {
			damaged[len(magic)+rand.IntN(len(damaged)-len(magic))] ^= byte(1 + rand.IntN(255))
		}
		must(t, os.WriteFile(path, damaged, 0o600))
		table, err := OpenTable(dir)
		for n := rand.IntN(20); n < 1000 && err == nil; n += 20 {
			want := record(n)
			var got Record
			var found bool
			if got, _, found, err = table.Find(want.In, want.Name); err == nil && (!found || got != want) {
				t.Fatalf("record %d is %v, %v", n, got, found)
			}
		}
		table.Close()
	}
}

func FuzzADecoderTakesAnything(f *testing.F) {
	r := record(3)
	f.Add(appendRecord(nil, &r))
	f.Add([]byte(strings.Repeat("\xff", 60)))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := decoder{rest: data}
		var r Record
		for n := 0; d.next(&r); n++ {
			if n > len(data) {
				t.Fatal("it does not end")
			}
		}
	})
}

// In a quick run there are 100,000, which would take 20 MB.
func TestTenMillionRecordsNeedLittleMemory(t *testing.T) {
	count := 100_000
	if os.Getenv("COPY_FULL") != "" {
		count = 10_000_000
	}
	dir := temporary(t)
	before := liveHeap()
	w, err := Open(dir)
	must(t, err)
	w.limit = bufferSize / 8
	most := int64(0)
	for n := range count {
		must(t, w.Add(record(n)))
		if n%(count/10) == 0 {
			most = max(most, liveHeap()-before)
		}
	}
	must(t, w.Finish(), w.Close())
	table, err := OpenTable(dir)
	must(t, err)
	defer table.Close()
	for n := 0; n < count; n += count / 100 {
		if !has(t, table, n) {
			t.Errorf("record %d is missing", n)
		}
	}
	index := liveHeap() - before
	t.Logf("%d bytes while it was written, %d for the index", most, index)
	if most > bufferSize || index > 1<<20+cacheSize*(blockSize+4096)+int64(count)/5 {
		t.Errorf("%d bytes while it was written, %d for the index", most, index)
	}
}

func liveHeap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
