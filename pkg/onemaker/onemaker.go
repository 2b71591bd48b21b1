// SPDX-License-Identifier: Apache-2.0

// Package onemaker has one of several processes make a directory of a Gluster volume that all of them want.
//
// A brick of GlusterFS 10.3 may lose a mkdir beside which another client looks the name up: the lookup makes the
// directory's handle (.glusterfs/xx/yy/<gfid>) between the mkdir's two steps, and the mkdir, which finds the handle
// there, takes the directory back on that brick alone. The next lookup has GlusterFS make it again with its gfid. A
// mkdir of another client that comes before that gives it a gfid of its own there: then the directory has two gfids,
// and everything in it says EIO until somebody settles it. The kernel looks a name up before each mkdir, so two clients
// that make one directory are enough for a brick to lose it; that it got two gfids was seen with a third that looks.
//
// So such a directory is made by the one that creates an empty file, which is exclusive, and who looks at the directory
// before it removes the file. The others wait for the directory. It is a regular file, since a brick keeps one whose
// handle is there, and none of anything else (posix_handle_hard, posix_handle_soft):
// TestOfTwoThatClaimOneHasItOnEveryBrick. It serves for directories: TestTwoMakersOfDirectories, in pkg/volume/owndir and
// in pkg/commit.
//
// A limit: a maker who stands still between its file and its mkdir, for as long as others take to think that it is dead,
// makes the directory after all. Where the next one has made it by then, that does nothing. Where both do it within the
// same milliseconds, and a third looks, there may be two gfids again.
package onemaker

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	// suffix ends the name of a file that says that a directory is just being made.
	suffix = ".making"
	// asideEnd ends the name of such a file that was moved aside; one replaces the other.
	asideEnd = ".aside"
)

// Recent is for how long a maker's file is left to its maker once it was seen: longer than a mkdir takes.
const Recent = 10 * time.Second

// For how long one process waits for another that makes a directory, which takes milliseconds, and how long between two
// looks at it.
const (
	patience = 5 * time.Second
	pause    = 20 * time.Millisecond
)

// healing is for how long GlusterFS may say of a directory that a brick has lost that it is not there: as long as the name
// is locked for the heal.
const healing = time.Second

// ErrBusy says that another process makes the directory, or that GlusterFS heals it: to be tried again.
var ErrBusy = errors.New("it is just being made")

// Wait is how this process waits for others.
type Wait struct {
	// IsAtIt says of the maker that a file is of whether it may still be at it.
	IsAtIt func(maker string) bool
	// Pause returns after a time.
	Pause func(time.Duration)
}

// Make calls create where nobody has made what isThere looks for, and nobody else is at it; that is known by a file in
// a directory that is called after name. ErrBusy while another is at it; fs.ErrNotExist beside it where what was made was
// removed at once.
func (w Wait) Make(at *safepath.Dir, name string, isThere func() (bool, error), create func() error) error {
	file := File(name)
	for began := time.Now(); ; {
		claim, claimed := at.OpenFile(file, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
		if claimed == nil {
			_ = claim.Close() // nothing was written
			err := w.createMissing(isThere, create)
			return errors.Join(err, ignoreNotExist(at.Unlink(file)))
		}
		if !errors.Is(claimed, fs.ErrExist) {
			return claimed
		}
		if there, err := isThere(); err != nil || there {
			return err
		}
		if err := w.takeFromDead(at, file); err != nil {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("a directory, as %s/%s says: %w", at.Name(), file, ErrBusy)
		}
		w.Pause(pause)
	}
}

// createMissing looks again: what is there was made between the look before and the claim. The look at the end has
// GlusterFS make the directory on a brick that has lost it, before anybody puts something there.
func (w Wait) createMissing(isThere func() (bool, error), create func() error) error {
	there, err := isThere()
	if err != nil || there {
		return err
	}
	if err := create(); err != nil {
		return err
	}
	if there, err = w.Look(isThere); err == nil && !there {
		err = fmt.Errorf("a directory that was just made is not there, or GlusterFS has not healed it yet: %w: %w", fs.ErrNotExist, ErrBusy)
	}
	return err
}

// Look looks whether a directory is there that was just made, until it is.
func (w Wait) Look(isThere func() (bool, error)) (there bool, err error) {
	for began := time.Now(); ; w.Pause(pause) {
		if there, err = isThere(); err != nil || there || time.Since(began) > healing {
			return there, err
		}
	}
}

// takeFromDead removes the file of one who was killed before it had made the directory. Another may be faster, and a
// third have made its own file since: so it is moved aside first and looked at then, and put back if it is another.
func (w Wait) takeFromDead(at *safepath.Dir, file string) error {
	maker, err := MakerOf(at, file)
	if err != nil || w.IsAtIt(maker) {
		return ignoreNotExist(err)
	}
	aside := file + asideEnd
	if err := at.Rename(file, at, aside); err != nil {
		return ignoreNotExist(err)
	}
	moved, err := MakerOf(at, aside)
	if err == nil && moved != maker {
		if err = at.Link(aside, at, file); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err == nil {
		err = at.Unlink(aside)
	}
	return ignoreNotExist(err)
}

// MakerOf tells one maker's file from another's: GlusterFS makes inode numbers of gfids.
func MakerOf(at *safepath.Dir, file string) (string, error) {
	if err := at.Refresh(file); err != nil {
		return "", err
	}
	st, err := at.StatEntry(file)
	return strconv.FormatUint(st.Ino, 16), err
}

// File is the maker's file for what is called after name.
func File(name string) string { return name + suffix }

// Files are those that there may be of what is called after name.
func Files(name string) []string { return []string{File(name), File(name) + asideEnd} }

// IsFile says whether a name is that of a maker's file.
func IsFile(name string) bool { return strings.HasSuffix(strings.TrimSuffix(name, asideEnd), suffix) }

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
