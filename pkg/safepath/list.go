// SPDX-License-Identifier: Apache-2.0

package safepath

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// listSize is how many bytes of names are asked for at once. Since Linux 6.16 FUSE asks its
	// server for as much, else for a page at a time; GlusterFS gives 128 KiB at most.
	listSize = 128 << 10
	// nameSize is about what FUSE needs for a name with its attributes.
	nameSize = 256
	minList  = 4 << 10
)

// Listing reads the names in a directory, some at a time. Close it.
type Listing struct {
	dir    *Dir // opened for reading
	buffer []byte
}

// List begins to read the names in the directory, about so many at a time, or as many as can be
// had where some is 0.
func (d *Dir) List(some int) (*Listing, error) {
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.err("open", err)
	}
	size := listSize
	if some > 0 {
		size = min(max(some*nameSize, minList), listSize)
	}
	return &Listing{dir: &Dir{fd: fd, name: d.name}, buffer: make([]byte, size)}, nil
}

// Listed is a name in a directory, with its kind as the listing said it (S_IFDIR, S_IFREG, …), 0 where the file system
// does not say. What is there may be another by the time that it is used.
type Listed struct {
	Name string
	Kind uint32
}

// Next returns the next names, at least one, in no order; io.EOF after the last.
func (l *Listing) Next() ([]Listed, error) {
	for {
		n, err := unix.ReadDirent(l.dir.fd, l.buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "readdir", Path: l.dir.name, Err: err}
		}
		if n == 0 {
			return nil, io.EOF
		}
		// "." and ".." are left out, and may be all that there was.
		if listed := parse(l.buffer[:n]); len(listed) > 0 {
			return listed, nil
		}
	}
}

// parse reads what getdents64 has written: struct linux_dirent64, one after the other.
func parse(buffer []byte) []Listed {
	const recordLength, kind, name = 16, 18, 19 // the offsets of d_reclen, d_type and d_name
	var all []Listed
	for len(buffer) > name {
		length := int(binary.NativeEndian.Uint16(buffer[recordLength:]))
		if length <= name || length > len(buffer) {
			break
		}
		entry, _, _ := bytes.Cut(buffer[name:length], []byte{0})
		if text := string(entry); text != "." && text != ".." {
			all = append(all, Listed{Name: text, Kind: uint32(buffer[kind]) << 12}) // as DTTOIF of dirent.h
		}
		buffer = buffer[length:]
	}
	return all
}

// Close releases the descriptor.
func (l *Listing) Close() { l.dir.Close() }

// Names returns the names of the entries, at most limit of them (all where limit
// is 0 or less), in no order.
func (d *Dir) Names(limit int) ([]string, error) {
	l, err := d.List(limit)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	var all []string
	for limit <= 0 || len(all) < limit {
		listed, err := l.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		for _, each := range listed {
			all = append(all, each.Name)
		}
	}
	return all[:limit], nil
}
