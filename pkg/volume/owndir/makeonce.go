// SPDX-License-Identifier: Apache-2.0

package owndir

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/onemaker"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// A directory that more than one process may want is made by one of them: see pkg/onemaker. The files that say so are in
// the driver's own directory, but for that directory's own. A volume's directory is made by whoever has claimed its path.

// MakeDirectory makes the directory at a path, in its parent, which may be there already, or be wanted by another at
// the same moment. ErrBusy while another makes it; fs.ErrNotExist beside it where it was removed at once.
func (o *Directory) MakeDirectory(parent *safepath.Dir, p string, mode uint32) error {
	top, err := o.OwnDirectory("")
	if err != nil {
		return err
	}
	name := path.Base(p)
	return o.makeAlone(top, volume.PathClaimName(p), func() (bool, error) {
		isMissing, err := IsMissing(parent, name)
		return !isMissing, err
	}, func() error { return volume.IgnoreExist(parent.Mkdir(name, mode)) })
}

// makeAlone calls create where nobody has made what isThere looks for, and nobody else is at it.
func (o *Directory) makeAlone(at *safepath.Dir, name string, isThere func() (bool, error), create func() error) error {
	return orBusy(o.wait().Make(at, name, isThere, create))
}

// wait is how this operation waits for others that make a directory.
func (o *Directory) wait() onemaker.Wait {
	return onemaker.Wait{
		IsAtIt: func(maker string) bool { return o.memory.makings.Age(maker) < o.Recent },
		Pause:  func(d time.Duration) { o.Permit.Without(func() { time.Sleep(d) }) },
	}
}

// OpenMade opens a directory in its parent that was just made, by whomever. fs.ErrNotExist and ErrBusy where it was
// removed at once, or a brick has lost it and it was not healed for a second.
func (o *Directory) OpenMade(parent *safepath.Dir, name string) (*safepath.Dir, error) {
	return o.openMade(func() (*safepath.Dir, error) { return parent.Open(name) })
}

func (o *Directory) openMade(open func() (*safepath.Dir, error)) (dir *safepath.Dir, err error) {
	_, _ = o.wait().Look(func() (bool, error) {
		dir, err = open()
		return err == nil, volume.IgnoreNotExist(err)
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", err, volume.ErrBusy)
	}
	return dir, err
}

// orBusy says with the driver's own word that another process makes a directory.
func orBusy(err error) error {
	if errors.Is(err, onemaker.ErrBusy) {
		err = fmt.Errorf("%w: %w", err, volume.ErrBusy)
	}
	return err
}

// SettleMakings removes what a kill has left of the making of directories.
func (o *Directory) SettleMakings() error {
	top, err := o.OwnDirectory("")
	if err != nil {
		return o.Explain(volume.IgnoreNotExist(err))
	}
	var claims []File
	for _, name := range onemaker.Files(volume.OwnDir) {
		claims = append(claims, File{o.Root, name})
	}
	names, err := top.Names(0)
	for _, name := range names {
		if onemaker.IsFile(name) {
			claims = append(claims, File{top, name})
		}
	}
	errs := []error{err}
	seen := map[string]bool{}
	for _, claim := range claims {
		maker, err := onemaker.MakerOf(claim.Dir, claim.Name)
		if err == nil {
			seen[maker] = true
			if o.IsAbandoned(&o.memory.makings, maker) {
				err = claim.Dir.Unlink(claim.Name)
			}
		}
		errs = append(errs, volume.IgnoreNotExist(err))
	}
	o.memory.makings.Keep(seen)
	return o.Explain(errors.Join(errs...))
}
