// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// A brick of GlusterFS 10.3 may lose a mkdir beside which another client looks the name up: the lookup makes the
// directory's handle (.glusterfs/xx/yy/<gfid>) between the mkdir's two steps, and the mkdir, which finds the handle
// there, takes the directory back on that brick alone. The next lookup has GlusterFS make it again with its gfid. A
// mkdir of another client that comes before that gives it a gfid of its own there: then the directory has two gfids,
// and everything in it says EIO until somebody settles it. The kernel looks a name up before each mkdir, so two clients
// that make one directory are enough for a brick to lose it; that it got two gfids was seen with a third that looks.
//
// So a directory that more than one process may want is made by one of them: by the one that creates an empty file,
// which is exclusive, and who looks at the directory before it removes the file. The others wait for the directory. It
// is a file, since by the source of 10.3 a brick loses a symbolic link in the same way as a directory, and no regular
// file, whose handle may be there (posix_handle_hard). A volume's own directory is made by whoever has claimed its path.
// TestTwoMakersOfDirectories.

// makingSuffix ends the name of a file that says that a directory is just being made.
const makingSuffix = ".making"

// For how long one process waits for another that makes a directory, which takes milliseconds, and how long between two
// looks at it.
const (
	patience      = 5 * time.Second
	waitForMaking = 20 * time.Millisecond
)

// MakeDirectory makes the directory at a path, in its parent, which may be there already, or be wanted by another at
// the same moment. ErrBusy while another makes it; fs.ErrNotExist where it was removed at once.
func (s *Store) MakeDirectory(parent *safepath.Dir, p string, mode uint32) error {
	top, err := s.ownDirectory("")
	if err != nil {
		return err
	}
	name := path.Base(p)
	return s.makeAlone(top, volume.PathClaimName(p), func() (bool, error) {
		isMissing, err := IsMissing(parent, name)
		return !isMissing, err
	}, func() error { return volume.IgnoreExist(parent.Mkdir(name, mode)) })
}

// makeAlone calls create where nobody has made what isThere looks for, and nobody else is at it; that is known by a
// file in at that is called after name.
func (s *Store) makeAlone(at *safepath.Dir, name string, isThere func() (bool, error), create func() error) error {
	claim := File{at, name + makingSuffix}
	for began := time.Now(); ; {
		file, claimed := at.OpenFile(claim.Name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
		if claimed == nil {
			_ = file.Close() // nothing was written
			err := createMissing(isThere, create)
			return errors.Join(err, volume.IgnoreNotExist(at.Unlink(claim.Name)))
		}
		if !errors.Is(claimed, fs.ErrExist) {
			return claimed
		}
		if there, err := isThere(); err != nil || there {
			return err
		}
		if err := s.takeFromDead(claim); err != nil {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("another controller is just making a directory, as %s/%s says: %w",
				at.Name(), claim.Name, volume.ErrBusy)
		}
		s.Permit.Without(func() { time.Sleep(waitForMaking) })
	}
}

// createMissing looks again: what is there was made between the look before and the claim. The look at the end has
// GlusterFS make the directory on a brick that has lost it, before anybody puts something there.
func createMissing(isThere func() (bool, error), create func() error) error {
	there, err := isThere()
	if err != nil || there {
		return err
	}
	if err := create(); err != nil {
		return err
	}
	if there, err = isThere(); err == nil && !there {
		err = fmt.Errorf("a directory that was just made: %w", fs.ErrNotExist)
	}
	return err
}

// takeFromDead removes the file of one who was killed before he had made the directory, once this process has seen it
// for a while. Another may be faster, and a third have made its own file since: so it is moved aside first and looked
// at then, and put back if it is another.
func (s *Store) takeFromDead(claim File) error {
	maker, err := makerOf(claim)
	if err != nil || s.MayGoOn(&s.Memory.makings, maker) {
		return volume.IgnoreNotExist(err)
	}
	aside := File{claim.Dir, claim.Name + asideEnd}
	if err := claim.Dir.Rename(claim.Name, aside.Dir, aside.Name); err != nil {
		return volume.IgnoreNotExist(err)
	}
	moved, err := makerOf(aside)
	if err == nil && moved != maker {
		err = volume.IgnoreExist(aside.Dir.Link(aside.Name, claim.Dir, claim.Name))
	}
	if err == nil {
		err = aside.Dir.Unlink(aside.Name)
	}
	return volume.IgnoreNotExist(err)
}

// makerOf tells one maker's file from another's: GlusterFS makes inode numbers of gfids.
func makerOf(claim File) (string, error) {
	if err := claim.Dir.Refresh(claim.Name); err != nil {
		return "", err
	}
	st, err := claim.Dir.StatEntry(claim.Name)
	return strconv.FormatUint(st.Ino, 16), err
}

// asideEnd ends the name of such a file that was moved aside; one replaces the other.
const asideEnd = ".aside"

// SettleMakings removes what a kill has left of the making of directories.
func (s *Store) SettleMakings() error {
	top, err := s.ownDirectory("")
	if err != nil {
		return s.Explain(volume.IgnoreNotExist(err))
	}
	names, err := top.Names(0)
	claims := []File{{s.Root, volume.OwnDir + makingSuffix}, {s.Root, volume.OwnDir + makingSuffix + asideEnd}}
	for _, name := range names {
		if strings.HasSuffix(strings.TrimSuffix(name, asideEnd), makingSuffix) {
			claims = append(claims, File{top, name})
		}
	}
	errs := []error{err}
	seen := map[string]bool{}
	for _, claim := range claims {
		maker, err := makerOf(claim)
		if err == nil {
			seen[maker] = true
			if s.IsAbandoned(&s.Memory.makings, maker) {
				err = claim.Dir.Unlink(claim.Name)
			}
		}
		errs = append(errs, volume.IgnoreNotExist(err))
	}
	s.Memory.makings.Keep(seen)
	return s.Explain(errors.Join(errs...))
}
