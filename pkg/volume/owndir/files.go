// SPDX-License-Identifier: Apache-2.0

package owndir

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// File is a name in one of the driver's own directories.
type File struct {
	Dir  *safepath.Dir
	Name string
}

// Files lists what there is of a kind, in all of its directories.
func (o *Directory) Files(kind string) ([]File, error) {
	flat, err := o.OwnDirectory(kind)
	if err != nil {
		return nil, volume.IgnoreNotExist(err)
	}
	names, err := flat.Names(0)
	if err != nil {
		return nil, err
	}
	var all []File
	var spread []string
	for _, f := range o.withoutFirstNames(flat, names) {
		if IsShard(f.Name) {
			spread = append(spread, f.Name)
		} else {
			all = append(all, f)
		}
	}
	lists, errs := make([][]File, len(spread)), make([]error, len(spread))
	permits.Beside(o.Permit, len(spread), func(i int) { lists[i], errs[i] = o.FilesIn(kind + "/" + spread[i]) })
	return append(slices.Concat(lists...), all...), errors.Join(errs...)
}

// FilesIn lists one of the driver's own directories, which may not be there yet.
func (o *Directory) FilesIn(rel string) ([]File, error) {
	dir, err := o.OwnDirectory(rel)
	if err != nil {
		return nil, volume.IgnoreNotExist(err)
	}
	names, err := dir.Names(0)
	return o.withoutFirstNames(dir, names), err
}

// FilesOf lists what there may be of a kind in the directories of a key.
func (o *Directory) FilesOf(kind, key string) ([]File, error) {
	homes, err := o.ExistingShards(kind, key)
	var all []File
	for _, dir := range homes {
		var names []string
		if err == nil {
			names, err = dir.Names(0)
		}
		for _, f := range o.withoutFirstNames(dir, names) {
			if !IsShard(f.Name) {
				all = append(all, f)
			}
		}
	}
	return all, err
}

// IsShard says of a name in a kind's directory whether it is one of those that the kind is spread over.
func IsShard(name string) bool { return len(name) == 2 }

// PathOf is where a file of the driver's own is on the Gluster volume.
func (o *Directory) PathOf(f File) string {
	return strings.TrimPrefix(f.Dir.Name(), o.Volume.String()+"/") + "/" + f.Name
}

// IsMissing says whether there is nothing of a name in a directory. No link is followed.
func IsMissing(dir *safepath.Dir, name string) (bool, error) {
	found, err := dir.Entry(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	found.Close()
	return false, nil
}

// IsOneFile says whether two names are there and of one file.
func IsOneFile(a, b File) (bool, error) {
	var inodes [2]uint64
	for i, f := range []File{a, b} {
		err := f.Dir.Refresh(f.Name)
		var st unix.Stat_t
		if err == nil {
			st, err = f.Dir.StatEntry(f.Name)
		}
		if err != nil {
			return false, volume.IgnoreNotExist(err)
		}
		inodes[i] = st.Ino
	}
	return inodes[0] == inodes[1], nil
}

// Readlink reads a symbolic link of the driver's own as it is now, even if another host has just replaced it.
func Readlink(dir *safepath.Dir, name string) (string, error) {
	return Reread(dir, name, func() (string, error) { return dir.Readlink(name) })
}

// Reread repeats what failed because the kernel knew an earlier file of that name.
func Reread[T any](dir *safepath.Dir, name string, read func() (T, error)) (T, error) {
	const attempts = 3
	result, err := read()
	for range attempts {
		if !errors.Is(err, unix.ESTALE) {
			break
		}
		if err = dir.Refresh(name); err == nil || errors.Is(err, unix.ESTALE) {
			result, err = read()
		}
	}
	return result, err
}
