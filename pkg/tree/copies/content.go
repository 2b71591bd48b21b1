// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/manifest"
)

const (
	// bufferSize is how much is read and written at once: several of FUSE's requests (128 KiB), which the client then
	// has under way together.
	bufferSize = 512 << 10
	// hashBlock is the part of a file that is hashed, with its number, unless it is all zero: so the hash is the same
	// whatever of the zeros is a hole.
	hashBlock = 64 << 10
	// page is the least hole.
	page = 4 << 10
	// seekSize is from which size on holes are asked for even if there seem to be none.
	seekSize = 1 << 20
)

var zeros [hashBlock]byte

// content is the content of one file on its way.
type content struct {
	*job

	in, out     *os.File // without out, it is only hashed
	st          unix.Stat_t
	from        int64 // what is before it has been written
	hashing     bool
	hash        hash.Hash
	end         int64 // of what was written
	since       int64 // bytes written since the last checkpoint
	checkpoints int
}

// sparse says that the file has holes.
func (c *content) sparse() bool { return c.st.Blocks*512 < c.st.Size }

// copy copies what is data from c.from on, and makes the file as long as its source was.
func (c *content) copy() error {
	c.end = c.from
	if c.hashing {
		c.hash = sha256.New()
	}
	buffer, ok := c.buffers.Get().(*[bufferSize]byte)
	if !ok {
		buffer = new([bufferSize]byte)
	}
	defer c.buffers.Put(buffer)
	at := c.from
	if c.hashing {
		at = 0
	}
	seek := c.st.Size >= seekSize || c.sparse()
	for at < c.st.Size {
		start, end := at, c.st.Size
		if seek {
			var err error
			if start, end, err = c.data(at); err != nil {
				return err
			}
		}
		if err := c.part(buffer[:], start, end); err != nil {
			return err
		}
		at = end
	}
	if c.out != nil && c.end < c.st.Size {
		return inDestination(c.out.Truncate(c.st.Size))
	}
	return nil
}

// data finds the next data, of whole blocks of the hash. GlusterFS answers SEEK_DATA and SEEK_HOLE in 0.1 ms; a file
// system that cannot says that all is data, and zeros are found then by reading them.
func (c *content) data(at int64) (start, end int64, err error) {
	start, err = unix.Seek(int(c.in.Fd()), at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return c.st.Size, c.st.Size, nil
	}
	if err == nil {
		end, err = unix.Seek(int(c.in.Fd()), start, unix.SEEK_HOLE)
	}
	// It became shorter, or the file system cannot tell, or two bricks that differ have answered one question each.
	isUnknown := errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP)
	if isUnknown || err == nil && (start < at || end <= start) {
		return at, c.st.Size, nil
	}
	if err != nil {
		return 0, 0, &os.PathError{Op: "seek", Path: c.in.Name(), Err: err}
	}
	start = max(start&^(hashBlock-1), at)
	end = (end + hashBlock - 1) &^ (hashBlock - 1)
	return min(start, c.st.Size), min(end, c.st.Size), nil
}

// part copies data from start to end.
func (c *content) part(buffer []byte, start, end int64) error {
	for start < end {
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		c.worker.GiveWay()
		n, err := c.in.ReadAt(buffer[:min(end-start, int64(len(buffer)))], start)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return nil // it became shorter meanwhile, which its attributes tell
		}
		if err := c.take(buffer[:n], start); err != nil {
			return err
		}
		start += int64(n)
	}
	return nil
}

// take hashes and writes what was read at a place, which is a multiple of hashBlock.
func (c *content) take(data []byte, at int64) error {
	if c.hashing {
		for n := 0; n < len(data); n += hashBlock {
			block := data[n:min(n+hashBlock, len(data))]
			if !bytes.Equal(block, zeros[:len(block)]) {
				_ = binary.Write(c.hash, binary.LittleEndian, (at+int64(n))/hashBlock)
				c.hash.Write(block)
			}
		}
	}
	if c.out == nil {
		return nil
	}
	if written := c.from - at; written > 0 { // hashing begins anew, wherever writing goes on: within what is in data, too
		written = min(written, int64(len(data)))
		data, at = data[written:], at+written
	}
	if !c.sparse() {
		return c.write(data, at)
	}
	for len(data) > 0 {
		skipped := extent(data, true)
		written := extent(data[skipped:], false)
		if err := c.write(data[skipped:skipped+written], at+int64(skipped)); err != nil {
			return err
		}
		data = data[skipped+written:]
		at += int64(skipped + written)
	}
	return nil
}

// extent is how many bytes at the beginning are pages that are all zero, or that are not.
func extent(data []byte, zero bool) (n int) {
	for n < len(data) {
		next := data[n:min(n+page, len(data))]
		if bytes.Equal(next, zeros[:len(next)]) != zero {
			break
		}
		n += len(next)
	}
	return n
}

func (c *content) write(data []byte, at int64) error {
	if len(data) == 0 {
		return nil
	}
	n, err := c.out.WriteAt(data, at)
	c.progress.written.Add(int64(n))
	c.d.AddBytes(int64(n))
	if err != nil {
		return inDestination(err)
	}
	c.end = at + int64(n)
	if err := c.used(int64(n), 0); err != nil {
		return err
	}
	if c.since += int64(n); c.since >= checkpointSize {
		c.since = 0
		return c.checkpoint(c.end &^ (hashBlock - 1))
	}
	return nil
}

// sum is the hash of what was copied.
func (c *content) sum() (sum [sha256.Size]byte, hashed bool) {
	if c.hash != nil {
		c.hash.Sum(sum[:0])
	}
	return sum, c.hash != nil
}

// hash has the hash of what was not copied now in its record, if it is wanted.
func (j *job) hash(source *safepath.Dir, r *manifest.Record) error {
	if !j.options.Hash || r.Hashed || r.Kind != unix.S_IFREG {
		return nil
	}
	st, err := source.Stat()
	if err != nil {
		return err
	}
	in, err := source.Reopen(unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer in.Close()
	c := &content{job: j, in: in, st: st, hashing: true}
	if err := c.copy(); err != nil {
		return err
	}
	r.Hash, r.Hashed = c.sum()
	return nil
}
