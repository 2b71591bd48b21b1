// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// The kinds of the driver's own files, each in a directory of that name.
const (
	CreatingDir = "creating"
	VolumesDir  = "volumes"
	TrashDir    = "trash"
	PathsDir    = "paths"
	gfidsDir    = "gfids"

	AttributesDir = "attributes" // made when first something changes
	// SnapshotsDir and ClonesDir have copies of volumes, made when there is the first, and RemovingDir what of them is
	// being removed.
	SnapshotsDir = string(volume.Snapshots)
	ClonesDir    = string(volume.Clones)
	RemovingDir  = "removing"
)

// onceFlat are the kinds of which all were in one directory before they were spread.
var onceFlat = []string{VolumesDir, CreatingDir, PathsDir, TrashDir}

// kinds are what is spread over directories, in the order in which those of a volume are made: the one without which a
// volume cannot be made comes last, so that the trash is there when the Gluster volume is full.
var kinds = []string{TrashDir, CreatingDir, VolumesDir}

// shards is how many directories each kind of the driver's own files is spread over. The kernel locks a directory for
// each change in it, so what is made and deleted at once waits for each other only within one; and what belongs to a
// volume is found in a directory that has a small part of all.
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

// ownDirectory opens one of the driver's own directories, "" being the one that has all others; fs.ErrNotExist where
// nothing was ever stored.
func (s *Store) ownDirectory(rel string) (*safepath.Dir, error) {
	if dir := s.dirs.get(rel); dir != nil {
		return dir, nil
	}
	if rel == "" {
		top, err := s.openTop()
		if err != nil {
			return nil, err
		}
		return s.dirs.put("", top), nil
	}
	above, name := "", rel
	if i := strings.LastIndexByte(rel, '/'); i >= 0 {
		above, name = rel[:i], rel[i+1:]
	}
	parent, err := s.ownDirectory(above)
	if err != nil {
		return nil, err
	}
	dir, err := parent.Open(name)
	if err != nil {
		return nil, err
	}
	return s.dirs.put(rel, dir), nil
}

// ExistingShards are the directories that may have what belongs to a key: the one of its hash and, as long as there may
// be something in it, the one that the driver had for all before.
func (s *Store) ExistingShards(kind, key string) ([]*safepath.Dir, error) {
	names := []string{kind + "/" + shard(key)}
	if slices.Contains(onceFlat, kind) && !s.Memory.flat.isEmpty(kind) {
		names = append(names, kind)
	}
	var dirs []*safepath.Dir
	for _, name := range names {
		dir, err := s.ownDirectory(name)
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

// EnsureShard is the directory in which what belongs to a key is made, after making what is missing. Where there is no
// room for a directory, it is the one that the driver had for all before, if there is that.
func (s *Store) EnsureShard(kind, key string) (*safepath.Dir, error) {
	name := kind + "/" + shard(key)
	dir, err := s.ownDirectory(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	err = s.makeShard(kind, key)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		if flat, flatErr := s.ownDirectory(kind); flatErr == nil {
			return flat, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return s.ownDirectory(name)
}

func (s *Store) makeShard(kind, key string) error {
	if err := s.makeTop(kind); err != nil {
		return err
	}
	if !slices.Contains(kinds, kind) {
		if err := s.makeOwn(kind); err != nil {
			return err
		}
		return s.makeOwn(kind + "/" + shard(key))
	}
	var all []string
	for _, kind := range kinds {
		all = append(all, kind+"/"+shard(key))
	}
	return s.makeOwn(all...)
}

// makeTop makes the directory that has all others, and one for each kind, unless there is the one of this kind.
func (s *Store) makeTop(kind string) error {
	tops := []string{PathsDir, gfidsDir, TrashDir, CreatingDir, VolumesDir}
	if !slices.Contains(tops, kind) {
		kind = VolumesDir // the last of them
	}
	isThere := func() (bool, error) { return s.hasOwn(kind) }
	if there, err := isThere(); err != nil || there {
		return err
	}
	return s.makeAlone(s.Root, volume.OwnDir, isThere, func() error {
		if err := volume.IgnoreExist(s.Root.Mkdir(volume.OwnDir, 0o700)); err != nil {
			return err
		}
		top, err := s.ownDirectory("")
		for _, kind := range tops {
			if err == nil {
				err = volume.IgnoreExist(top.Mkdir(kind, 0o700))
			}
		}
		return err
	})
}

// makeOwn makes the last of the driver's own directories, and those that come before it, unless that one is there.
func (s *Store) makeOwn(rels ...string) error {
	last := rels[len(rels)-1]
	isThere := func() (bool, error) { return s.hasOwn(last) }
	if there, err := isThere(); err != nil || there {
		return err
	}
	top, err := s.ownDirectory("")
	if err != nil {
		return err
	}
	return s.makeAlone(top, strings.ReplaceAll(last, "/", "."), isThere, func() error {
		for _, rel := range rels {
			parent, err := s.ownDirectory(strings.TrimSuffix(path.Dir(rel), "."))
			if err == nil {
				err = volume.IgnoreExist(parent.Mkdir(path.Base(rel), 0o700))
			}
			if err == nil {
				_, err = s.ownDirectory(rel)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// hasOwn says whether there is one of the driver's own directories.
func (s *Store) hasOwn(rel string) (bool, error) {
	_, err := s.ownDirectory(rel)
	return err == nil, volume.IgnoreNotExist(err)
}

// File is a name in one of the driver's own directories.
type File struct {
	Dir  *safepath.Dir
	Name string
}

// Files lists what there is of a kind, in all of its directories.
func (s *Store) Files(kind string) ([]File, error) {
	flat, err := s.ownDirectory(kind)
	if err != nil {
		return nil, volume.IgnoreNotExist(err)
	}
	names, err := flat.Names(0)
	if err != nil {
		return nil, err
	}
	var all []File
	var spread []string
	for _, name := range names {
		if isShard(name) {
			spread = append(spread, name)
		} else {
			all = append(all, File{flat, name})
		}
	}
	lists, errs := make([][]File, len(spread)), make([]error, len(spread))
	beside(s.Permit, len(spread), func(i int) { lists[i], errs[i] = s.filesIn(kind + "/" + spread[i]) })
	return append(slices.Concat(lists...), all...), errors.Join(errs...)
}

// filesIn lists one of the driver's own directories, which may not be there yet.
func (s *Store) filesIn(rel string) ([]File, error) {
	dir, err := s.ownDirectory(rel)
	if err != nil {
		return nil, volume.IgnoreNotExist(err)
	}
	names, err := dir.Names(0)
	var all []File
	for _, name := range names {
		all = append(all, File{dir, name})
	}
	return all, err
}

// FilesOf lists what there may be of a kind in the directories of a key.
func (s *Store) FilesOf(kind, key string) ([]File, error) {
	homes, err := s.ExistingShards(kind, key)
	var all []File
	for _, dir := range homes {
		var names []string
		if err == nil {
			names, err = dir.Names(0)
		}
		for _, name := range names {
			if !isShard(name) {
				all = append(all, File{dir, name})
			}
		}
	}
	return all, err
}

func isShard(name string) bool { return len(name) == 2 }

// PathOf is where a file of the driver's own is on the Gluster volume.
func (s *Store) PathOf(f File) string {
	return strings.TrimPrefix(f.Dir.Name(), s.Volume.String()+"/") + "/" + f.Name
}
