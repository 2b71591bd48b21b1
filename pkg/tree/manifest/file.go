// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	magic     = "glusterfs-csi manifest 1\n"
	blockSize = 32 << 10 // of records, in bytes; a block ends with the record that reaches it
	// frame is what is before a block: its length, how many records it has, and its checksum. The footer is as long:
	// the offset of the index and its length.
	frame       = 12
	footer      = 16
	maxBlock    = 1 << 20
	asideSuffix = ".new"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fileWriter writes one table.
type fileWriter struct {
	dir   *safepath.Dir
	name  string
	file  *os.File
	out   *bufio.Writer
	at    int64
	block []byte
	first []byte // the block's first key
	count uint32
	index []byte
}

func create(dir *safepath.Dir, name string) (*fileWriter, error) {
	file, err := dir.OpenFile(name+asideSuffix, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	w := &fileWriter{dir: dir, name: name, file: file, out: bufio.NewWriterSize(file, 128<<10)}
	return w, w.write([]byte(magic))
}

func (w *fileWriter) write(data []byte) error {
	n, err := w.out.Write(data)
	w.at += int64(n)
	return err
}

func (w *fileWriter) add(r *Record) error {
	if w.count == 0 {
		w.first = append(append(w.first[:0], r.In[:]...), r.Name...)
	}
	w.block = appendRecord(w.block, r)
	w.count++
	if len(w.block) < blockSize {
		return nil
	}
	return w.endBlock()
}

func (w *fileWriter) endBlock() error {
	if w.count == 0 {
		return nil
	}
	w.index = binary.LittleEndian.AppendUint64(w.index, uint64(w.at))
	w.index = binary.LittleEndian.AppendUint32(w.index, w.count)
	w.index = binary.LittleEndian.AppendUint16(w.index, uint16(len(w.first)))
	w.index = append(w.index, w.first...)
	err := w.writeBlock(w.block, w.count)
	w.block, w.count = w.block[:0], 0
	return err
}

func (w *fileWriter) writeBlock(block []byte, count uint32) error {
	var head [frame]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(block)))
	binary.LittleEndian.PutUint32(head[4:], count)
	binary.LittleEndian.PutUint32(head[8:], crc32.Checksum(block, castagnoli))
	return errors.Join(w.write(head[:]), w.write(block))
}

// finish puts the table in its place, with its content on disk.
func (w *fileWriter) finish() error {
	err := w.endBlock()
	var foot [footer]byte
	binary.LittleEndian.PutUint64(foot[:], uint64(w.at))
	binary.LittleEndian.PutUint64(foot[8:], uint64(len(w.index)))
	err = errors.Join(err, w.writeBlock(w.index, 0), w.write(foot[:]), w.out.Flush())
	if err == nil {
		err = w.file.Sync()
	}
	if err := errors.Join(err, w.file.Close()); err != nil {
		return err
	}
	return w.dir.Rename(w.name+asideSuffix, w.dir, w.name)
}

// abandon is finish after an error.
func (w *fileWriter) abandon() {
	_ = w.file.Close()
	_ = w.dir.Unlink(w.name + asideSuffix) // the next who writes it replaces it
}

// Table is a finished manifest, or what is known of an unfinished one.
type Table struct {
	file   *os.File
	blocks []block
	end    int64 // of the blocks
	cache  cache
	// Count is the number of records.
	Count int64
}

type block struct {
	at    int64
	count uint32
	from  int64 // the number of the block's first record
	first string
}

// OpenTable opens the manifest of a copy whose Options.Work is dir: fs.ErrNotExist if there is none.
func OpenTable(dir *safepath.Dir) (*Table, error) { return open(dir, tableName) }

func open(dir *safepath.Dir, name string) (*Table, error) {
	file, err := dir.OpenFile(name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	t := &Table{file: file}
	if err := t.readIndex(); err != nil {
		file.Close()
		return nil, err
	}
	return t, nil
}

func (t *Table) readIndex() error {
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	var foot [footer]byte
	if info.Size() < int64(len(magic)+frame+footer) {
		return t.damaged("it is too short")
	}
	if _, err := t.file.ReadAt(foot[:], info.Size()-footer); err != nil {
		return err
	}
	at, length := int64(binary.LittleEndian.Uint64(foot[:])), int64(binary.LittleEndian.Uint64(foot[8:]))
	if at < int64(len(magic)) || length < 0 || at+frame+length != info.Size()-footer {
		return t.damaged("its end is wrong")
	}
	t.end = at
	index, err := t.read(at, frame+length)
	if err != nil {
		return err
	}
	for len(index) > 0 {
		const fixed = 14
		if len(index) < fixed {
			return t.damaged("its index is wrong")
		}
		b := block{at: int64(binary.LittleEndian.Uint64(index)), count: binary.LittleEndian.Uint32(index[8:]), from: t.Count}
		n := int(binary.LittleEndian.Uint16(index[12:]))
		if n < len(Directory{}) || fixed+n > len(index) {
			return t.damaged("its index is wrong")
		}
		b.first = string(index[fixed : fixed+n])
		t.Count += int64(b.count)
		t.blocks = append(t.blocks, b)
		index = index[fixed+n:]
	}
	return nil
}

// block reads a block.
func (t *Table) block(i int) ([]byte, error) {
	end := t.end
	if i+1 < len(t.blocks) {
		end = t.blocks[i+1].at
	}
	if end-t.blocks[i].at > maxBlock {
		return nil, t.damaged("its index is wrong")
	}
	return t.read(t.blocks[i].at, end-t.blocks[i].at)
}

// read reads and checks what lies at an offset, with its frame of this length.
func (t *Table) read(at, length int64) ([]byte, error) {
	if length < frame {
		return nil, t.damaged("its index is wrong")
	}
	data := make([]byte, length)
	if _, err := t.file.ReadAt(data, at); err != nil {
		return nil, err
	}
	head, data := data[:frame], data[frame:]
	if int(binary.LittleEndian.Uint32(head)) != len(data) {
		return nil, t.damaged("a length in it is wrong")
	}
	if crc32.Checksum(data, castagnoli) != binary.LittleEndian.Uint32(head[8:]) {
		return nil, t.damaged("a checksum in it is wrong")
	}
	return data, nil
}

func (t *Table) damaged(what string) error {
	return fmt.Errorf("%s: %w: %s", t.file.Name(), ErrDamaged, what)
}

// Close closes the file.
func (t *Table) Close() {
	if t != nil {
		t.file.Close()
	}
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
