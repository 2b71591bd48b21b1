// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// file is one with these records of writer 7; negative numbers are slots with rubbish.
func file(numbers ...int) []byte {
	var content []byte
	for _, n := range numbers {
		slot := record(7, max(n, 0))
		if n < 0 {
			slot[100]++
		}
		content = append(content, slot...)
	}
	return content
}

func TestCheckFindsWhatIsNotAsItWasAcknowledged(t *testing.T) {
	for _, tc := range []struct {
		name         string
		file         []byte
		acknowledged []int
		unknown      int
		want         string // "" for nothing
	}{
		{"all is there", file(0, 1, 2), []int{0, 1, 2}, 0, ""},
		{"nothing was written", nil, nil, 0, ""},
		{"a record whose fate was unknown is there", file(0, 1, 2), []int{0, 2}, 1, ""},
		{"one is lost at the end", file(0, 1), []int{0, 1, 2}, 0, "record 2 was acknowledged and is lost"},
		{"one is lost in the middle", file(0, 2), []int{0, 1, 2}, 0, "record 1 was acknowledged and is lost"},
		{"a byte is another", file(0, -1, 2), []int{0, 2}, 0, "slot 1 holds no whole record"},
		{"the file is cut", file(0, 1)[:recordSize+9], []int{0}, 0, "slot 1 holds no whole record"},
		{"a hole", append(file(0), make([]byte, recordSize)...), []int{0}, 0, "slot 1 holds no whole record"},
		{"one is there twice", file(0, 1, 1), []int{0, 1}, 0, "record 1 comes after record 1"},
		{"the order is another", file(0, 2, 1), []int{0, 1, 2}, 0, "record 1 comes after record 2"},
		{"another writer's", slices.Concat(file(0), record(8, 1)), []int{0}, 0, "slot 1 holds no whole record"},
		{"a hole where one may have been", slices.Concat(file(0), make([]byte, recordSize), file(2)), []int{0, 2}, 1, ""},
		{"two holes where one may have been", slices.Concat(file(0), make([]byte, 2*recordSize), file(3)), []int{0, 3}, 1, "slot 2 holds no whole record"},
		{"a hole where one was", slices.Concat(file(0), make([]byte, recordSize), file(2)), []int{0, 1, 2}, 1, "record 1 was acknowledged and is lost"},
	} {
		t.Run(tc.name, func(t *testing.T) { expect(t, check(tc.file, 7, tc.acknowledged, tc.unknown), tc.want) })
	}
}

func TestCheckOfAPart(t *testing.T) {
	all := []int{0, 1, 2, 4, 5, 6} // what became of 3 is not known
	for _, tc := range []struct {
		name string
		part []byte
		slot int
		want string
	}{
		{"the beginning", file(0, 1), 0, ""},
		{"after 3, which is not there", file(4, 5), 3, ""},
		{"after 3, which is there", file(4, 5), 4, ""},
		{"too early: one before is lost", file(4, 5), 2, "slot 2 holds record 4, before which 3 were acknowledged"},
		{"too late: something is there twice", file(4, 5), 5, "slot 5 holds record 4"},
		{"one is lost within", file(4, 6), 3, "record 5 was acknowledged and is lost"},
		{"rubbish at the beginning", file(-1, -1, 5), 3, "slot 1 holds no whole record"},
	} {
		t.Run(tc.name, func(t *testing.T) { expect(t, checkPart(tc.part, 7, all, tc.slot, 1), tc.want) })
	}
}

func TestRecordsAreLinesOfText(t *testing.T) {
	r := record(7, 12)
	if len(r) != recordSize || bytes.IndexByte(r, '\n') != recordSize-1 || !bytes.HasPrefix(r, []byte("writer 007 record 0000000012 ")) {
		t.Errorf("%q", r)
	}
	if n, ok := numberOf(r, 7); n != 12 || !ok {
		t.Errorf("got %d, %v", n, ok)
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("unexpected: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want %q", err, want)
	}
}
