// SPDX-License-Identifier: Apache-2.0

// Package manifest remembers what the entries of a tree were when they were copied: a table on disk, in which each is
// found by its name, whatever the number of entries, with little memory.
//
// A Writer takes records in any order, sorts as many as fit in bufferSize bytes, and writes each such part to a file of
// its own. Finish merges the parts into the table. A table is blocks of records in the order of directory and name, and
// an index of the blocks, which alone is in memory: some 100 bytes for each blockSize of the file. So to find a record
// is to read one block (TestTenMillionRecordsNeedLittleMemory).
//
// Every file is written aside, synced and then renamed, and every block has a checksum. What is killed leaves whole
// parts; what they hold is known to the next attempt (Open), and only the records that were still in memory are not.
package manifest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrDamaged says that a table is not what was written.
var ErrDamaged = errors.New("the manifest is damaged")

// Directory is by what a directory is known: a hash of its path from the top, whose own is the zero value.
type Directory [16]byte

// Below is the directory called name in d.
func (d Directory) Below(name string) Directory {
	sum := sha256.Sum256(append(d[:], name...))
	return Directory(sum[:16])
}

// Record is an entry of a tree as it was when it was copied.
type Record struct {
	In   Directory
	Name string
	Kind uint32 // S_IFREG, S_IFDIR, …
	Source

	Hash   [sha256.Size]byte // of a file's content, where Hashed
	Hashed bool
	// Another says that the content is that of another name in the manifest, too.
	Another bool
}

// Source is what a source was like. GlusterFS makes inode numbers of gfids, so they are stable on a volume's every
// client.
type Source struct {
	Inode        uint64
	Size         int64 // in bytes
	Mtime, Ctime unix.Timespec
}

// SourceOf is what stat says.
func SourceOf(st unix.Stat_t) Source {
	return Source{Inode: st.Ino, Size: st.Size, Mtime: st.Mtim, Ctime: st.Ctim}
}

// SameContent says whether size and time of change are the same.
func (s Source) SameContent(other Source) bool { return s.Size == other.Size && s.Mtime == other.Mtime }

func compare(a, b *Record) int {
	return cmp.Or(bytes.Compare(a.In[:], b.In[:]), strings.Compare(a.Name, b.Name))
}

// The flags before a record's fields; the kind is in the bits above them.
const (
	hashed   = 1
	another  = 2
	flagBits = 2
)

// appendRecord writes a record behind the others of a block.
func appendRecord(to []byte, r *Record) []byte {
	flags := uint64(r.Kind>>12) << flagBits
	if r.Hashed {
		flags |= hashed
	}
	if r.Another {
		flags |= another
	}
	to = append(to, r.In[:]...)
	to = binary.AppendUvarint(to, uint64(len(r.Name)))
	to = append(to, r.Name...)
	to = binary.AppendUvarint(to, flags)
	to = binary.LittleEndian.AppendUint64(to, r.Inode)
	to = binary.AppendVarint(to, r.Size)
	for _, t := range [...]unix.Timespec{r.Mtime, r.Ctime} {
		to = binary.AppendVarint(to, t.Sec)
		to = binary.AppendVarint(to, t.Nsec)
	}
	if r.Hashed {
		to = append(to, r.Hash[:]...)
	}
	return to
}

// decoder reads the records of a block.
type decoder struct {
	rest   []byte
	count  int64 // of records read
	failed bool
}

// next returns false at the end, and at what is no record.
func (d *decoder) next(r *Record) bool { return d.nextFrom(&Record{}, r) }

// nextFrom passes over what comes before a record's place, for which it takes no memory.
func (d *decoder) nextFrom(least, r *Record) bool {
	for len(d.rest) > 0 && !d.failed {
		*r = Record{}
		copy(r.In[:], d.take(uint64(len(r.In))))
		name := d.take(d.unsigned())
		d.fields(r)
		d.count++
		if order := bytes.Compare(r.In[:], least.In[:]); order > 0 || order == 0 && string(name) >= least.Name {
			r.Name = string(name)
			return !d.failed
		}
	}
	return false
}

// fields reads what comes after the name.
func (d *decoder) fields(r *Record) {
	flags := d.unsigned()
	r.Kind = uint32(flags>>flagBits) << 12
	r.Another = flags&another != 0
	if inode := d.take(8); inode != nil {
		r.Inode = binary.LittleEndian.Uint64(inode)
	}
	r.Size = d.signed()
	r.Mtime = unix.Timespec{Sec: d.signed(), Nsec: d.signed()}
	r.Ctime = unix.Timespec{Sec: d.signed(), Nsec: d.signed()}
	if flags&hashed != 0 {
		r.Hashed = true
		copy(r.Hash[:], d.take(sha256.Size))
	}
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.failed = true
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) unsigned() uint64 {
	value, n := binary.Uvarint(d.rest)
	d.skip(n)
	return value
}

func (d *decoder) signed() int64 {
	value, n := binary.Varint(d.rest)
	d.skip(n)
	return value
}

// skip goes over a number of n bytes.
func (d *decoder) skip(n int) {
	if n <= 0 {
		d.failed = true
		return
	}
	d.rest = d.rest[n:]
}
