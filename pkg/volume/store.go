// SPDX-License-Identifier: Apache-2.0

// Package volume keeps volumes on a Gluster volume: one directory each, with a
// record that remembers it and a mark that ties the two together.
//
//	gv0/
//	  pvc-…/                          a volume's data, marked trusted.csi.volume=<id>
//	  .glusterfs-csi/                 root only
//	    volumes/<id>.json             its record
//	    trash/<id>.<time>/            a deleted volume: data/ and record.json
//	    aside/                        records being written
//
// The record is claimed before anything else is made and given up after everything
// else is gone, so whatever a kill leaves behind has a record, and repeating the
// call finishes it.
//
// A Store does the work and blocks as long as GlusterFS does; a Manager gives it
// deadlines, one operation at a time per volume, and the right client.
package volume

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	ownDir     = ".glusterfs-csi"
	volumesDir = "volumes"
	trashDir   = "trash"
	asideDir   = "aside"

	// markXattr ties a directory to its record. Only CAP_SYS_ADMIN on the host may
	// set it, and a copy does not carry it along.
	markXattr = "trusted.csi.volume"
	// parentXattr marks a directory that the driver made to hold volumes; such a one
	// is removed with the last volume in it.
	parentXattr = "trusted.csi.parent"

	recordSuffix = ".json"
	maxRecord    = 64 << 10 // bytes

	// abandoned is longer than any operation lasts that still runs.
	abandoned = time.Hour

	// stepAside is passed by every operation that writes a record.
	stepAside = "record written aside"
)

// Store is the volumes of one Gluster volume, seen through one client. Its methods
// block as long as GlusterFS does. Two calls on the same volume must not run at the
// same time in one process; in two processes they may, and end as one of them would.
type Store struct {
	volume gluster.Volume
	root   *safepath.Dir
	own    map[string]*safepath.Dir // by name below ownDir, opened when needed

	// step is called as a named point of an operation is passed; tests kill the
	// process there.
	step func(point string)
	// abandoned is the age from which what is half done is nobody's any more.
	abandoned time.Duration
}

// Open returns the store behind a client's mount point, without asking GlusterFS
// anything. The store keeps the mount alive until it is closed.
func Open(v gluster.Volume, mountpoint string) (*Store, error) {
	root, err := safepath.OpenRoot(mountpoint)
	if err != nil {
		return nil, explain(err)
	}
	return &Store{volume: v, root: root, own: map[string]*safepath.Dir{}, step: func(string) {}, abandoned: abandoned}, nil
}

// Close releases what the store holds.
func (s *Store) Close() {
	for _, dir := range s.own {
		dir.Close()
	}
	s.root.Close()
}

// dir returns one of the driver's own directories; fs.ErrNotExist where nothing was
// ever stored.
func (s *Store) dir(name string) (*safepath.Dir, error) {
	if dir := s.own[name]; dir != nil {
		return dir, nil
	}
	own, err := s.root.Open(ownDir)
	if err != nil {
		return nil, err
	}
	defer own.Close()
	// Whoever may write here decides what the driver deletes.
	st, err := own.Stat()
	if err != nil {
		return nil, err
	}
	if st.Uid != 0 || st.Mode&0o077 != 0 {
		return nil, fmt.Errorf("%s on %s belongs to uid %d with mode %04o: %w: it must be root's alone (chown 0:0, chmod 0700) once you know who made it",
			ownDir, s.volume, st.Uid, st.Mode&0o7777, ErrForeign)
	}
	dir, err := own.Open(name)
	if err != nil {
		return nil, err
	}
	s.own[name] = dir
	return dir, nil
}

// makeDir is dir, after making what is missing.
func (s *Store) makeDir(name string) (*safepath.Dir, error) {
	dir, err := s.dir(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := s.root.Mkdir(ownDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	own, err := s.root.Open(ownDir)
	if err != nil {
		return nil, err
	}
	defer own.Close()
	if err := own.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return s.dir(name)
}

// Get returns the record of a volume, or ErrNotFound.
func (s *Store) Get(id string) (Record, error) {
	dir, err := s.dir(volumesDir)
	if err == nil {
		var r Record
		if r, err = readRecord(dir, id+recordSuffix); err == nil && r.ID != id {
			err = fmt.Errorf("the record of %s on %s names %s: %w", id, s.volume, r.ID, ErrCorrupt)
		}
		if err == nil {
			return r, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, fmt.Errorf("volume %s on %s: %w", id, s.volume, ErrNotFound)
	}
	return Record{}, explain(err)
}

// readRecord reads a record as it is now, even if another host has just replaced it.
func readRecord(dir *safepath.Dir, name string) (Record, error) {
	const attempts = 3
	r, err := readRecordOnce(dir, name)
	for range attempts {
		if !errors.Is(err, unix.ESTALE) {
			break
		}
		if err = dir.Refresh(name); err == nil || errors.Is(err, unix.ESTALE) {
			r, err = readRecordOnce(dir, name)
		}
	}
	return r, err
}

func readRecordOnce(dir *safepath.Dir, name string) (Record, error) {
	f, err := dir.OpenFile(name, unix.O_RDONLY, 0)
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err != nil {
		return Record{}, err
	}
	r, err := ParseRecord(data)
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return r, nil
}

// claim makes the record where there is none; fs.ErrExist where there is. The name
// appears with its whole content, on disk, or not at all.
func (s *Store) claim(r Record) error {
	volumes, err := s.makeDir(volumesDir)
	if err != nil {
		return err
	}
	return s.writeAside(r, func(aside *safepath.Dir, name string) error {
		err := aside.Link(name, volumes, r.ID+recordSuffix)
		if unlinkErr := aside.Unlink(name); err == nil {
			err = unlinkErr
		}
		return err
	})
}

// change replaces the record, atomically.
func (s *Store) change(r Record) error {
	volumes, err := s.dir(volumesDir)
	if err != nil {
		return err
	}
	return s.writeAside(r, func(aside *safepath.Dir, name string) error {
		return aside.Rename(name, volumes, r.ID+recordSuffix)
	})
}

// drop gives the record up; one that is gone already is no error.
func (s *Store) drop(id string) error {
	volumes, err := s.dir(volumesDir)
	if err != nil {
		return err
	}
	if err := volumes.Unlink(id + recordSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeAside writes the record to a file of its own in aside/, forces it to the
// bricks, and has place put it where it belongs.
func (s *Store) writeAside(r Record, place func(aside *safepath.Dir, name string) error) error {
	aside, err := s.makeDir(asideDir)
	if err != nil {
		return err
	}
	name := r.ID + "." + strconv.FormatUint(rand.Uint64(), 36)
	f, err := aside.OpenFile(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(r.encode())
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = aside.Unlink(name)
		return err
	}
	s.step(stepAside)
	return place(aside, name)
}

// split opens the directory that holds path and returns it with path's last name.
func (s *Store) split(p string) (*safepath.Dir, string, error) {
	parent, err := s.root.Open(path.Dir(p))
	return parent, path.Base(p), err
}

// Capacity returns the bytes that are free on the Gluster volume and its size.
func (s *Store) Capacity() (available, total int64, err error) {
	st, err := s.root.Statfs()
	if err != nil {
		return 0, 0, explain(err)
	}
	return int64(st.Bavail) * st.Frsize, int64(st.Blocks) * st.Frsize, nil
}
