// SPDX-License-Identifier: Apache-2.0

// Package owndir is the driver's own directory on one Gluster volume as a place for small files that several processes
// want at once. It knows nothing of what they say: that is for pkg store and those above it.
//
// The files of a kind are spread over 64 directories by a hash of what they belong to (directories.go), found by that,
// and listed (files.go). A directory that is missing is made by one process (makeonce.go); the one that has all others
// is root's alone (rootonly.go). A name is claimed by a link, by one of all who want it, on every brick (claims.go),
// and what was claimed, made, renamed or removed is on the disks of all bricks once Commit has returned. What is half
// done is left to who began it until this process has seen it for a while (Store.MayGoOn).
package owndir

import (
	"errors"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

const stepCommitted = "on disk"

// For how long what is half done is left alone.
const (
	// recent is longer than an operation lasts, and longer than two hosts may disagree on what is
	// there: the kernel and the client each trust for a second what they know. What has been seen for less than
	// that time is left to who began it.
	recent = 10 * time.Second
	// Abandoned is longer than any operation lasts that still runs.
	Abandoned = time.Hour
)

// Directory is the driver's own directory, seen through one client by one operation. Its methods block as long as
// GlusterFS does, and may be called by several goroutines at once.
type Directory struct {
	Volume gluster.Volume
	Root   *safepath.Dir   // of the Gluster volume
	Permit *permits.Permit // of the operation; nil where nobody counts

	memory *Memory // of this process
	dirs   *ownDirs
	rest   *rest

	// Step is called as a named point of an operation is passed, by several goroutines at once.
	Step func(point string)
	// Recent and Abandoned are for how long this process must have seen what is half done before a repetition takes it
	// up, and everybody does.
	Recent, Abandoned time.Duration
}

// New is the directory in a view, for an operation that has the permit, of a process that remembers the Gluster volume.
func New(v *View, memory *Memory, permit *permits.Permit) Directory {
	return Directory{
		Volume: v.volume, Root: v.root, Permit: permit, memory: memory, dirs: &v.dirs, rest: &rest{}, Step: func(string) {},
		Recent: recent, Abandoned: Abandoned,
	}
}

// Commit returns when what was done is on the disks of all bricks that are up. Beside it, or before where there is no
// permit for both, goes what of claims is not needed any more, and what was moved aside is looked at.
func (o *Directory) Commit() error {
	force := func(*permits.Permit) error {
		return o.memory.freed.force(func() error { return o.memory.commit(o.Root) })
	}
	looks, unneeded := o.rest.take()
	var err error
	wentBack := false
	if len(looks)+len(unneeded) == 0 {
		err = force(o.Permit)
	} else {
		err = permits.Both(o.Permit, func(permit *permits.Permit) error {
			var errs []error
			for _, look := range looks {
				back, err := look(permit)
				wentBack = wentBack || back
				errs = append(errs, err)
			}
			drop(permit, unneeded)
			return errors.Join(errs...)
		}, force)
	}
	if err == nil && wentBack {
		err = force(o.Permit)
	}
	o.Step(stepCommitted)
	return orBusy(err)
}

// Explain adds the kind and the cure to an error that GlusterFS gave.
func (o *Directory) Explain(err error) error { return volume.Explain(o.Volume, err) }

// View is what is open of a Gluster volume through one client: its root and the driver's own directories. Operations
// share it, as each name on the way to a directory that is looked up anew is a round trip to the bricks.
type View struct {
	volume gluster.Volume
	root   *safepath.Dir
	dirs   ownDirs
}

// OpenView is the view from a client's mount point. It asks GlusterFS nothing, and keeps the mount alive until it is
// closed.
func OpenView(v gluster.Volume, mountpoint string) (*View, error) {
	root, err := safepath.OpenRoot(mountpoint)
	if err != nil {
		return nil, volume.Explain(v, err)
	}
	return &View{volume: v, root: root.Called(v.String())}, nil
}

// Close is called once, when no operation uses the view any more.
func (v *View) Close() {
	v.dirs.close()
	v.root.Close()
}
