// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// recordSize is that of every record, in bytes, so a file is a row of slots.
const recordSize = 256

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is what a writer appends under a number, which it never uses twice: text with a
// checksum, in which a person finds the way.
func record(writer, number int) []byte {
	head := fmt.Sprintf("writer %03d record %010d ", writer, number)
	sum := sha256.Sum256([]byte(head))
	filler := bytes.Repeat([]byte(hex.EncodeToString(sum[:])), recordSize/hex.EncodedLen(len(sum))+1)
	body := append([]byte(head), filler...)[:recordSize-len(" 00000000\n")]
	return fmt.Appendf(body, " %08x\n", crc32.Checksum(body, castagnoli))
}

// numberOf returns the number of a record of this writer, or false for anything else.
func numberOf(slot []byte, writer int) (number int, ok bool) {
	var w int
	if _, err := fmt.Fscanf(bytes.NewReader(slot), "writer %d record %d ", &w, &number); err != nil {
		return 0, false
	}
	return number, w == writer && bytes.Equal(slot, record(writer, number))
}

// check compares a writer's file with what it was told to be there: every acknowledged
// record is there once and whole, in the order of the numbers. So many more were written
// whose fate is unknown: they are there, or not, or the file is longer by one and holds
// something else there, as any file may after a crash.
func check(file []byte, writer int, acknowledged []int, unknown int) error {
	var errs []error
	found := map[int]bool{}
	last := -1
	for slot := 0; slot*recordSize < len(file); slot++ {
		content := file[slot*recordSize : min((slot+1)*recordSize, len(file))]
		number, ok := numberOf(content, writer)
		switch {
		case !ok && unknown > 0:
			unknown--
			continue
		case !ok:
			errs = append(errs, fmt.Errorf("slot %d holds no whole record: %q", slot, content[:min(len(content), 40)]))
			continue
		case number <= last:
			errs = append(errs, fmt.Errorf("slot %d: record %d comes after record %d", slot, number, last))
		}
		found[number], last = true, number
	}
	for _, number := range acknowledged {
		if !found[number] {
			errs = append(errs, fmt.Errorf("record %d was acknowledged and is lost", number))
		}
	}
	return errors.Join(first(errs)...)
}

// checkPart is check for a part of the file that begins with some slot, before which there are
// some of the unknown ones or none.
func checkPart(part []byte, writer int, acknowledged []int, slot, unknown int) error {
	from, okFrom := numberOf(part[:recordSize], writer)
	to, okTo := numberOf(part[len(part)-recordSize:], writer)
	if okFrom && okTo {
		begin, _ := slices.BinarySearch(acknowledged, from)
		end, _ := slices.BinarySearch(acknowledged, to+1)
		if slot < begin || slot > begin+unknown {
			return fmt.Errorf("slot %d holds record %d, before which %d were acknowledged and %d more may have been written", slot, from, begin, unknown)
		}
		acknowledged = acknowledged[begin:max(begin, end)]
	}
	return check(part, writer, acknowledged, unknown)
}

// first keeps what a person reads of many errors.
func first(errs []error) []error {
	const enough = 10
	if len(errs) > enough {
		return append(errs[:enough:enough], fmt.Errorf("and %d more", len(errs)-enough))
	}
	return errs
}
