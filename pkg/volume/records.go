// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// state is how far a volume has come, as the file of its record says.
type state int

const (
	absent state = iota
	begun        // a creation that has not come to its end
	ready
)

// found is what there is of a volume's record.
type found struct {
	state state
	// record is whole if it is ready. What has begun may not have been written yet: then it has the ID alone.
	record Record
	dir    *safepath.Dir // has the file
}

// look finds the record of a volume.
func (s *Store) look(id string) (found, error) {
	homes, err := s.homes(volumesDir, id)
	for _, dir := range homes {
		if err != nil {
			break
		}
		var f found
		if f, err = s.lookIn(dir, id+recordSuffix); err == nil && f.state != absent && f.record.ID != id {
			err = fmt.Errorf("the record of %s on %s names %s: %w", id, s.volume, f.record.ID, ErrCorrupt)
		}
		if err == nil && f.state != absent {
			return f, nil
		}
	}
	return found{}, s.explain(err)
}

// lookIn reads the file of a record. It was written twice, and got the gfid the second time, so a host that has read it
// before may still have the old bytes in its cache.
func (s *Store) lookIn(dir *safepath.Dir, name string) (found, error) {
	r, err := readRecord(dir, name)
	if err == nil && r.GFID == noGFID || errors.Is(err, errUnwritten) {
		r, err = readRecordOnce(dir, name, unix.O_DIRECT) // not from the kernel's cache
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found{}, nil
	case errors.Is(err, errUnwritten):
		return found{state: begun, record: Record{ID: strings.TrimSuffix(name, recordSuffix)}, dir: dir}, nil
	case err != nil:
		return found{}, err
	case r.GFID == noGFID:
		return found{begun, r, dir}, nil
	}
	return found{ready, r, dir}, nil
}

// Get returns the record of a volume that is ready, with what was changed since, or ErrNotFound.
func (s *Store) Get(id string) (Record, error) {
	r, err := s.get(id)
	if err != nil {
		return r, err
	}
	return s.current(r)
}

// get is Get without what was changed.
func (s *Store) get(id string) (Record, error) {
	f, err := s.look(id)
	if err == nil && f.state != ready {
		err = fmt.Errorf("volume %s on %s: %w", id, s.volume, ErrNotFound)
	}
	return f.record, err
}

// errUnwritten says that nothing was written into a record yet, or that the power went before it was on disk.
var errUnwritten = fmt.Errorf("it is empty: %w", ErrCorrupt)

// readRecord reads a record as it is now, even if another host has just replaced it.
func readRecord(dir *safepath.Dir, name string) (Record, error) {
	return reread(dir, name, func() (Record, error) { return readRecordOnce(dir, name, 0) })
}

func readRecordOnce(dir *safepath.Dir, name string, flags int) (Record, error) {
	f, err := dir.OpenFile(name, unix.O_RDONLY|flags, 0)
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	data := make([]byte, maxRecord) // one read: what is in it is of one moment
	n, err := f.Read(data)
	if err != nil && !errors.Is(err, io.EOF) {
		return Record{}, err
	}
	if len(bytes.Trim(data[:n], "\x00")) == 0 {
		return Record{}, fmt.Errorf("%s: %w", f.Name(), errUnwritten)
	}
	r, err := ParseRecord(data[:n])
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return r, nil
}
