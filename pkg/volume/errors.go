// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// The kinds of failure that a caller acts on differently. Every error of this
// package that is one of them wraps it; its text says what was tried, on what,
// and what to do.
var (
	// ErrNotFound: no volume, snapshot or trash entry has this ID.
	ErrNotFound = errors.New("not found")
	// ErrIncompatible: a volume of this name exists with other properties.
	ErrIncompatible = errors.New("exists already and differs")
	// ErrForeign: the directory is there but is not the volume's own: it has another gfid than the
	// record says. Nothing was touched.
	ErrForeign = errors.New("the directory is not this volume's")
	// ErrTwoNames: a brick has the directory at another path than the others. Nothing was touched.
	ErrTwoNames = errors.New("it has one name on one brick and another on the next, as after a power cut")
	// ErrNested: the directory lies in another volume, or another volume in it.
	ErrNested = errors.New("volumes must not lie within each other")
	// ErrBusy: another operation on the same volume is under way; try again.
	ErrBusy = errors.New(answers.Busy)
	// ErrUnfinished: a volume was begun, and can be neither completed nor taken back as long as the Gluster volume is as it
	// is now.
	ErrUnfinished = errors.New("something of the volume is there, and is completed or taken back by a repetition then")
	// ErrInvalid: the request cannot succeed however often it is repeated.
	ErrInvalid = errors.New("invalid")
	// ErrRefused: the Gluster volume does not let root do it.
	ErrRefused = errors.New("permission denied by the Gluster volume")
	// ErrReadOnly: the Gluster volume, or the client, is read-only.
	ErrReadOnly = errors.New("the Gluster volume is read-only")
	// ErrNoSpace: the Gluster volume, or a quota on it, is full.
	ErrNoSpace = errors.New("no space left")
	// ErrDisconnected: the Gluster volume does not answer.
	ErrDisconnected = errors.New("the Gluster volume does not answer")
	// ErrSplitBrain: its bricks answer, and no answer can be trusted.
	ErrSplitBrain = errors.New("GlusterFS has no answer that it trusts (EIO)")
	// ErrCorrupt: a record cannot be read as one.
	ErrCorrupt = errors.New("the record is damaged")
	// ErrHeld: a trash entry is to be kept.
	ErrHeld = errors.New("it is held")
	// ErrTooLarge: the volume would be larger than the Gluster volume, or is larger than was asked for.
	ErrTooLarge = errors.New("too large")
	// ErrProvisioned: all volumes of the Gluster volume would have more together than the clusters file lets them have.
	ErrProvisioned = errors.New("as much is provisioned as may be")
	// ErrUnlimited: the volume is to be held to its capacity, and the Gluster volume would not hold it.
	ErrUnlimited = errors.New("nothing would hold it to that")
	// ErrNewer: a newer driver has written the record, and says that this one must leave it alone.
	ErrNewer = errors.New("a newer driver made it: update this one")
)

// causes says what an errno from the Gluster volume means to an operator. %[1]s is the Gluster volume.
var causes = []struct {
	errno unix.Errno
	kind  error
	cure  string
}{
	{unix.EROFS, ErrReadOnly, "it is mounted or set read-only: see `gluster volume get %[1]s features.read-only`"},
	{unix.EPERM, ErrRefused, "root may not do this there: see `gluster volume get %[1]s server.root-squash`, which must be off"},
	{unix.EACCES, ErrRefused, "root may not do this there: see `gluster volume get %[1]s server.root-squash`, which must be off"},
	{unix.ENOSPC, ErrNoSpace, "its bricks have no byte or no inode left (`df` and `df -i` there): free some, or purge the trash (`glusterfs-csi trash purge`)"},
	{unix.EDQUOT, ErrNoSpace, "a quota is used up: see `gluster volume quota %[1]s list`"},
	{unix.ENOTCONN, ErrDisconnected, "too few of its bricks are up: see `gluster volume status %[1]s`"},
	{unix.ECONNABORTED, ErrDisconnected, "its client on this host ended meanwhile, and another is started: try again"},
	{unix.ETIMEDOUT, ErrDisconnected, "its bricks do not answer: see `gluster volume status %[1]s`"},
	{unix.EIO, ErrSplitBrain, "its bricks disagree on what is there, or a brick's disk failed: see `gluster volume heal %[1]s info split-brain` and `gluster volume status %[1]s`"},
	{unix.ESTALE, ErrBusy, "the directory was replaced meanwhile: try again"},
}

// IgnoreNotExist makes nothing of an error that says that what was to go, or to be looked at, is not there (any more).
// FUSE says ESTALE where another host has removed what the kernel still knows.
func IgnoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESTALE) {
		return nil
	}
	return err
}

// Explain adds the kind and the cure to an error that the Gluster volume gave, and leaves
// an error that has no errno as it is.
func Explain(v gluster.Volume, err error) error {
	var errno unix.Errno
	if err == nil || !errors.As(err, &errno) {
		return err
	}
	for _, c := range causes {
		if errno == c.errno {
			cure := c.cure
			if strings.Contains(cure, "%") {
				cure = fmt.Sprintf(cure, v.Name)
			}
			return fmt.Errorf("%w: %w; %s", err, c.kind, cure)
		}
	}
	return err
}

// NotADirectory makes an ErrForeign of what is in a volume's place but cannot be it.
func NotADirectory(err error) error {
	if errors.Is(err, safepath.ErrLink) || errors.Is(err, unix.ENOTDIR) {
		return fmt.Errorf("%w: %w: it is not followed; look who put it there, and move it away", err, ErrForeign)
	}
	return err
}

// IsNotThere says of an error in opening a directory that none can be there: nothing is made
// behind a link or a file.
func IsNotThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, safepath.ErrLink) || errors.Is(err, unix.ENOTDIR)
}

// IgnoreExist makes nothing of an error that says that what was to be made is there.
func IgnoreExist(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// IsUnreadable says of an error in reading a record that reading it again is no cure, and that it is of this one alone.
func IsUnreadable(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewer) || errors.Is(err, ErrSplitBrain) || errors.Is(err, unix.EIO)
}
