// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	creatingDir = "creating"
	volumesDir  = "volumes"
	trashDir    = "trash"
	pathsDir    = "paths"
	gfidsDir    = "gfids"

	attributesDir = "attributes" // made when first something changes
)

// kinds are what is spread over directories, in the order in which those of a volume are made: the one without which a
// volume cannot be made comes last, so that the trash is there when the Gluster volume is full.
var kinds = []string{trashDir, creatingDir, volumesDir}

// shards is how many directories each kind of the driver's own files is spread over. The kernel locks a directory for each
// change in it, so what is made and deleted at once waits for each other only within one; and what belongs to a volume is
// found in a directory that has a small part of all.
const shards = 64

// shard is the name of the directory that has what belongs to a volume's ID, or to the name of a path's claim.
func shard(key string) string {
	sum := sha256.Sum256([]byte(key))
	return fmt.Sprintf("%02x", sum[0]%shards)
}

// ownDirs are the driver's own directories that are open.
type ownDirs struct {
	mu   sync.Mutex
	open map[string]*safepath.Dir
}

func (d *ownDirs) get(rel string) *safepath.Dir {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open[rel]
}

// put keeps a directory that was just opened, and returns the one that is kept: perhaps another was faster.
func (d *ownDirs) put(rel string, dir *safepath.Dir) *safepath.Dir {
	d.mu.Lock()
	defer d.mu.Unlock()
	if have := d.open[rel]; have != nil {
		dir.Close()
		return have
	}
	if d.open == nil {
		d.open = map[string]*safepath.Dir{}
	}
	d.open[rel] = dir
	return dir
}

func (d *ownDirs) close() {
	for _, dir := range d.open {
		dir.Close()
	}
}

// own returns one of the driver's own directories, "" being the one that has all others; fs.ErrNotExist where nothing was
// ever stored.
func (s *Store) own(rel string) (*safepath.Dir, error) {
	if dir := s.dirs.get(rel); dir != nil {
		return dir, nil
	}
	if rel == "" {
		top, err := s.openOwn()
		if err != nil {
			return nil, err
		}
		return s.dirs.put("", top), nil
	}
	above, name := "", rel
	if i := strings.LastIndexByte(rel, '/'); i >= 0 {
		above, name = rel[:i], rel[i+1:]
	}
	parent, err := s.own(above)
	if err != nil {
		return nil, err
	}
	dir, err := parent.Open(name)
	if err != nil {
		return nil, err
	}
	return s.dirs.put(rel, dir), nil
}

// openOwn refuses a directory that is not root's alone: whoever may write there decides what the driver deletes.
func (s *Store) openOwn() (*safepath.Dir, error) {
	top, err := s.root.Open(ownDir)
	if err != nil {
		return nil, err
	}
	st, err := top.Stat()
	if err == nil && (st.Uid != 0 || st.Mode&0o077 != 0) {
		err = fmt.Errorf("%s on %s belongs to uid %d with mode %04o: %w: it must be root's alone (chown 0:0, chmod 0700) once you know who made it",
			ownDir, s.volume, st.Uid, st.Mode&0o7777, ErrForeign)
	}
	if err != nil {
		top.Close()
		return nil, err
	}
	return top, nil
}

// homes are the directories that may have what belongs to a key: the one of its hash and, as long as there may be
// something in it, the one that the driver had for all before.
func (s *Store) homes(kind, key string) ([]*safepath.Dir, error) {
	names := []string{kind + "/" + shard(key)}
	if !s.memory.flat.isEmpty(kind) {
		names = append(names, kind)
	}
	var dirs []*safepath.Dir
	for _, name := range names {
		dir, err := s.own(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// home is the directory in which what belongs to a key is made, after making what is missing. Where there is no room
// for a directory, it is the one that the driver had for all before, if there is that.
func (s *Store) home(kind, key string) (*safepath.Dir, error) {
	name := kind + "/" + shard(key)
	dir, err := s.own(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	err = s.makeHome(kind, key)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		if flat, flatErr := s.own(kind); flatErr == nil {
			return flat, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return s.own(name)
}

func (s *Store) makeHome(kind, key string) error {
	if err := s.makeTop(kind); err != nil {
		return err
	}
	if !slices.Contains(kinds, kind) {
		return errors.Join(s.makeIn("", kind), s.makeIn(kind, shard(key)))
	}
	for _, kind := range kinds {
		if err := s.makeIn(kind, shard(key)); err != nil {
			return err
		}
	}
	return nil
}

// makeTop makes the directory that has all others, and one for each kind, unless there is the one of this kind.
func (s *Store) makeTop(kind string) error {
	if _, err := s.own(kind); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	made := s.root.Mkdir(ownDir, 0o700)
	if err := ignoreExist(made); err != nil {
		return err
	}
	if err := s.afresh(ownDir, func() error { _, err := s.own(""); return err }); err != nil { // another host may be making it
		return err
	}
	top, err := s.own("")
	if err != nil {
		return err
	}
	for _, kind := range []string{pathsDir, gfidsDir, trashDir, creatingDir, volumesDir} {
		if err := ignoreExist(top.Mkdir(kind, 0o700)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) makeIn(kind, name string) error {
	parent, err := s.own(kind)
	if err != nil {
		return err
	}
	return ignoreExist(parent.Mkdir(name, 0o700))
}

// file is a name in one of the driver's own directories.
type file struct {
	dir  *safepath.Dir
	name string
}

// files lists what there is of a kind, in all of its directories.
func (s *Store) files(kind string) ([]file, error) {
	flat, err := s.own(kind)
	if err != nil {
		return nil, ignoreNotExist(err)
	}
	names, err := flat.Names(0)
	if err != nil {
		return nil, err
	}
	var all []file
	var spread []string
	for _, name := range names {
		if isShard(name) {
			spread = append(spread, name)
		} else {
			all = append(all, file{flat, name})
		}
	}
	lists, errs := make([][]file, len(spread)), make([]error, len(spread))
	beside(s.permit, len(spread), func(i int) { lists[i], errs[i] = s.filesIn(kind + "/" + spread[i]) })
	return append(slices.Concat(lists...), all...), errors.Join(errs...)
}

// filesIn lists one of the driver's own directories, which may not be there yet.
func (s *Store) filesIn(rel string) ([]file, error) {
	dir, err := s.own(rel)
	if err != nil {
		return nil, ignoreNotExist(err)
	}
	names, err := dir.Names(0)
	var all []file
	for _, name := range names {
		all = append(all, file{dir, name})
	}
	return all, err
}

// filesOf lists what there may be of a kind in the directories of a key.
func (s *Store) filesOf(kind, key string) ([]file, error) {
	homes, err := s.homes(kind, key)
	var all []file
	for _, dir := range homes {
		var names []string
		if err == nil {
			names, err = dir.Names(0)
		}
		for _, name := range names {
			if !isShard(name) {
				all = append(all, file{dir, name})
			}
		}
	}
	return all, err
}

func isShard(name string) bool { return len(name) == 2 }

// pathOf is where a file of the driver's own is on the Gluster volume.
func (s *Store) pathOf(f file) string {
	return strings.TrimPrefix(f.dir.Name(), s.volume.String()+"/") + "/" + f.name
}
