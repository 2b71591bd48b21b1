// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	limitXattr = "trusted.glusterfs.quota.limit-set"
	usageXattr = "trusted.glusterfs.quota.size"
)

var (
	// ErrUnprivileged says that the directory was not reached through the privileged client.
	ErrUnprivileged = errors.New("GlusterFS takes limits from a client of its quota command only")
	// ErrOff says that the servers do not count what is used, so that no limit holds.
	ErrOff = errors.New("quota is off for the Gluster volume")
)

// Directory is one on a Gluster volume, held by descriptors: what is done to it is done to that which Dir holds,
// whatever has its name by then. Close it once.
type Directory struct {
	Dir *safepath.Dir // for the caller to see whether it is the one that is meant

	parent *safepath.Dir
	name   string
}

// Open holds the directory at a path below the root of a privileged client. Its errors are those of safepath's Open;
// the root itself, which has no name, is none that may be limited.
func Open(root *safepath.Dir, rel string) (*Directory, error) {
	if err := safepath.Check(rel); err != nil {
		return nil, err
	}
	parent, err := root.Open(path.Dir(rel))
	if err != nil {
		return nil, err
	}
	dir, err := parent.Open(path.Base(rel))
	if err != nil {
		parent.Close()
		return nil, err
	}
	return &Directory{Dir: dir, parent: parent, name: path.Base(rel)}, nil
}

// Close releases the descriptors.
func (d *Directory) Close() {
	d.Dir.Close()
	d.parent.Close()
}

// SetLimit gives the directory this limit, in the place of another one if it has one. When it returns, every brick that
// is connected has the limit and goes by it. One that was not gets it by heal (TestABrickThatWasDownGetsTheLimit); a
// whole replica set of a distributed volume with the next lookup, such as Open makes
// (TestAReplicaSetThatWasDownGetsTheLimit). GlusterFS takes a limit while quota is off, too, and forgets it when quota
// is turned on: know the State first. fs.ErrNotExist where the directory was renamed meanwhile: it may have the limit
// then, and is to be given it again.
func (d *Directory) SetLimit(l Limit) error {
	if _, err := decodeLimit(l.encode()); err != nil {
		return d.explain("set its limit", err)
	}
	return d.explain("set its limit", d.applied(d.Dir.SetXattr(limitXattr, l.encode())))
}

// LiftLimit takes the limit from the directory; one without is no error.
func (d *Directory) LiftLimit() error {
	return d.explain("lift its limit", d.applied(d.Dir.RemoveXattr(limitXattr)))
}

// applied has the bricks read the directory's limit anew, after a change of it. With the change alone they keep in
// memory one that was lifted, and forget what a percent of 0 means: for soft-timeout everything passed then, beyond a
// limit that had just been raised (TestAWriterEndsAtTheLimit; quota_setxattr and quota_fill_inodectx in
// xlators/features/quota/src/quota.c). They read it with any lookup of the name. A pod makes none: the directory is the
// root of its mount.
func (d *Directory) applied(err error) error {
	if err != nil {
		return err
	}
	return d.parent.Refresh(d.name)
}

// Limit returns the limit of the directory, and false where it has none.
func (d *Directory) Limit() (Limit, bool, error) {
	value, err := d.Dir.Xattr(limitXattr)
	if err != nil || value == "" {
		return Limit{}, false, d.explain("read its limit", err)
	}
	l, err := decodeLimit(value)
	return l, err == nil, d.explain("read its limit", err)
}

// Usage is what GlusterFS counts below a directory. Files are counted in whole blocks of the bricks' file systems.
type Usage struct {
	Bytes int64
	Files int64 // whatever is not a directory
	Dirs  int64 // with the directory itself
}

// String is for logs and errors.
func (u Usage) String() string {
	return fmt.Sprintf("%d bytes, %d files, %d directories", u.Bytes, u.Files, u.Dirs)
}

// Usage returns what is used below the directory, whether it has a limit or not, and ErrOff where nobody counts.
func (d *Directory) Usage() (Usage, error) {
	value, err := d.Dir.Xattr(usageXattr)
	if err == nil && value == "" {
		err = ErrOff
	}
	if err != nil {
		return Usage{}, d.explain("read its usage", err)
	}
	numbers, err := decode(value, 3)
	if err != nil {
		return Usage{}, d.explain("read its usage", err)
	}
	return Usage{Bytes: numbers[0], Files: numbers[1], Dirs: numbers[2]}, nil
}

func (d *Directory) explain(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s: %s: %w: %w", d.Dir.Name(), what, ErrUnprivileged, err)
	}
	return fmt.Errorf("%s: %s: %w", d.Dir.Name(), what, err)
}
