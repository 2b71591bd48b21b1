// SPDX-License-Identifier: Apache-2.0

package owndir

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
	GFIDsDir    = "gfids"

	AttributesDir = "attributes" // made when first something changes
	// SnapshotsDir and ClonesDir have copies of volumes, made when there is the first, and RemovingDir what of them is
	// being removed.
	SnapshotsDir = string(volume.Snapshots)
	ClonesDir    = string(volume.Clones)
	RemovingDir  = "removing"
)

// OnceFlat are the kinds of which all were in one directory before they were spread.
var OnceFlat = []string{VolumesDir, CreatingDir, PathsDir, TrashDir}

// kinds are what is spread over directories, in the order in which those of a volume are made: the one without which a
// volume cannot be made comes last, so that the trash is there when the Gluster volume is full.
var kinds = []string{TrashDir, CreatingDir, VolumesDir}

// shards is how many directories each kind of the driver's own files is spread over. The kernel locks a directory for
// each change in it, so what is made and deleted at once waits for each other only within one; and what belongs to a
// volume is found in a directory that has a small part of all.
const shards = 64

// Shard is the name of the directory that has what belongs to a volume's ID, or to the name of a path's claim.
func Shard(key string) string {
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

// OwnDirectory opens one of the driver's own directories, "" being the one that has all others; fs.ErrNotExist where
// nothing was ever stored.
func (o *Directory) OwnDirectory(rel string) (*safepath.Dir, error) {
	if dir := o.dirs.get(rel); dir != nil {
		return dir, nil
	}
	if rel == "" {
		top, err := o.openTop()
		if err != nil {
			return nil, err
		}
		return o.dirs.put("", top), nil
	}
	above, name := "", rel
	if i := strings.LastIndexByte(rel, '/'); i >= 0 {
		above, name = rel[:i], rel[i+1:]
	}
	parent, err := o.OwnDirectory(above)
	if err != nil {
		return nil, err
	}
	dir, err := parent.Open(name)
	if err != nil {
		return nil, err
	}
	return o.dirs.put(rel, dir), nil
}

// ExistingShards are the directories that may have what belongs to a key: the one of its hash and, as long as there may
// be something in it, the one that the driver had for all before.
func (o *Directory) ExistingShards(kind, key string) ([]*safepath.Dir, error) {
	names := []string{kind + "/" + Shard(key)}
	if slices.Contains(OnceFlat, kind) && !o.IsSpread(kind) {
		names = append(names, kind)
	}
	var dirs []*safepath.Dir
	for _, name := range names {
		dir, err := o.OwnDirectory(name)
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
func (o *Directory) EnsureShard(kind, key string) (*safepath.Dir, error) {
	dir, err := o.EnsureOwnShard(kind, key)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		if flat, flatErr := o.OwnDirectory(kind); flatErr == nil {
			return flat, nil
		}
	}
	return dir, err
}

// EnsureOwnShard is EnsureShard for what is looked for in no other directory.
func (o *Directory) EnsureOwnShard(kind, key string) (*safepath.Dir, error) {
	name := kind + "/" + Shard(key)
	dir, err := o.OwnDirectory(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := o.makeShard(kind, key); err != nil {
		return nil, err
	}
	return o.openMade(func() (*safepath.Dir, error) { return o.OwnDirectory(name) })
}

func (o *Directory) makeShard(kind, key string) error {
	if err := o.MakeTop(kind); err != nil {
		return err
	}
	if !slices.Contains(kinds, kind) {
		if err := o.makeOwn(kind); err != nil {
			return err
		}
		return o.makeOwn(kind + "/" + Shard(key))
	}
	var all []string
	for _, kind := range kinds {
		all = append(all, kind+"/"+Shard(key))
	}
	return o.makeOwn(all...)
}

// MakeTop makes the directory that has all others, and one for each kind, unless there is the one of this kind.
func (o *Directory) MakeTop(kind string) error {
	tops := []string{PathsDir, GFIDsDir, TrashDir, CreatingDir, VolumesDir}
	if !slices.Contains(tops, kind) {
		kind = VolumesDir // the last of them
	}
	isThere := func() (bool, error) { return o.hasOwn(kind) }
	if there, err := isThere(); err != nil || there {
		return err
	}
	return o.makeAlone(o.Root, volume.OwnDir, isThere, func() error {
		if err := volume.IgnoreExist(o.Root.Mkdir(volume.OwnDir, 0o700)); err != nil {
			return err
		}
		top, err := o.openMade(func() (*safepath.Dir, error) { return o.OwnDirectory("") })
		for _, kind := range tops {
			if err == nil {
				err = volume.IgnoreExist(top.Mkdir(kind, 0o700))
			}
		}
		return err
	})
}

// makeOwn makes the last of the driver's own directories, and those that come before it, unless that one is there.
func (o *Directory) makeOwn(rels ...string) error {
	last := rels[len(rels)-1]
	isThere := func() (bool, error) { return o.hasOwn(last) }
	if there, err := isThere(); err != nil || there {
		return err
	}
	top, err := o.OwnDirectory("")
	if err != nil {
		return err
	}
	return o.makeAlone(top, strings.ReplaceAll(last, "/", "."), isThere, func() error {
		for _, rel := range rels {
			parent, err := o.OwnDirectory(strings.TrimSuffix(path.Dir(rel), "."))
			if err == nil {
				err = volume.IgnoreExist(parent.Mkdir(path.Base(rel), 0o700))
			}
			if err == nil {
				_, err = o.openMade(func() (*safepath.Dir, error) { return o.OwnDirectory(rel) })
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// hasOwn says whether there is one of the driver's own directories.
func (o *Directory) hasOwn(rel string) (bool, error) {
	_, err := o.OwnDirectory(rel)
	return err == nil, volume.IgnoreNotExist(err)
}
