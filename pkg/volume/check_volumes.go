// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// lookAtVolumes holds each record against the directory in its path and against the path's claim.
func (s *Store) lookAtVolumes(ctx context.Context, found *inventory) error {
	for path, records := range found.byPath {
		if len(records) < 2 {
			continue
		}
		for _, r := range records {
			found.add(Problem{
				Kind: SharedPath, Subject: r.ID, Path: path, Why: fmt.Sprintf("%d volumes have this path", len(records)),
				Cure: "nothing: delete the PersistentVolume of which the directory is not, after a look at what is in it",
			})
		}
	}
	return each(ctx, s.permit, slices.Collect(maps.Values(found.volumes)), func(r Record) error { return s.lookAtVolume(found, r) })
}

func (s *Store) lookAtVolume(found *inventory, r Record) error {
	dir, err := s.root.Open(r.Path)
	switch {
	case errors.Is(err, safepath.ErrLink), errors.Is(err, unix.ENOTDIR):
		found.add(otherDirectory(r, "what is there is not a directory"))
		return nil
	case err != nil && ignoreNotExist(err) == nil:
		return s.lookAtNoDirectory(found, r)
	case err != nil:
		return err
	}
	defer dir.Close()
	have, err := gfidOf(dir)
	if err != nil {
		return ignoreNotExist(err)
	}
	want, err := s.recordedGFID(r)
	if err != nil {
		return err
	}
	if want == "" {
		return s.lookAtUnrecorded(found, r, dir, have)
	}
	if have != want {
		found.add(otherDirectory(r, fmt.Sprintf("the directory there has the gfid %s, the volume has %s", have, want)))
		return nil
	}
	if err := s.lookAtNames(found, dir, have, r); err != nil {
		return err
	}
	return s.lookAtHolder(found, r)
}

func otherDirectory(r Record, why string) Problem {
	return Problem{Kind: OtherDirectory, Subject: r.ID, Path: r.Path, Why: why,
		Cure: "nothing: look who put it there, move it away, and bring the volume's own back by a rename"}
}

// lookAtUnrecorded looks at a volume of schema 1 that has not been taken over. One that has its mark will be.
func (s *Store) lookAtUnrecorded(found *inventory, r Record, dir *safepath.Dir, gfid string) error {
	mark, err := dir.Xattr(markXattr)
	switch {
	case err != nil:
		return ignoreNotExist(err)
	case mark == r.stamp():
		return nil
	case mark != "":
		found.add(otherDirectory(r, "the directory there has the mark of volume "+stampedID(mark)))
		return nil
	}
	p := Problem{
		Kind: LostIdentity, Subject: r.ID, Path: r.Path, id: r.ID,
		Why: "its directory has lost its mark, and its gfid was never recorded",
	}
	reason, err := s.mayBeAnothers(found, r, gfid)
	if err != nil {
		return err
	}
	if reason != "" {
		p.Cure = "nothing, since " + reason
	} else {
		p.Cure = "take the directory over: its gfid " + gfid + " is recorded as the volume's"
		p.repair = func() error { return s.takeOverUnmarked(r, gfid) }
	}
	found.add(p)
	return nil
}

// mayBeAnothers says why the directory in a volume's path, which has no mark, may not be the volume's: "" if nobody
// else can have it.
func (s *Store) mayBeAnothers(found *inventory, r Record, gfid string) (string, error) {
	if len(found.byPath[r.Path]) > 1 {
		return "another volume has the path, too", nil
	}
	if other, taken := found.byInode[inodeOf(gfid)]; taken {
		return "the directory is that of volume " + other.ID, nil
	}
	held, err := s.holderOf(r.Path)
	switch {
	case err != nil:
		return "", ignoreNotExist(err)
	case held.parent:
		return "the directory is there to hold volumes", nil
	case held.stamp != r.stamp():
		return "the path is claimed by volume " + stampedID(held.stamp), nil
	}
	return "", nil
}

// takeOverUnmarked records the gfid of the directory that was looked at, unless another is there by now.
func (s *Store) takeOverUnmarked(r Record, gfid string) error {
	dir, err := s.root.Open(r.Path)
	if err != nil {
		return err
	}
	defer dir.Close()
	have, err := gfidOf(dir)
	if err == nil && have != gfid {
		err = fmt.Errorf("the directory was replaced meanwhile: %w", ErrBusy)
	}
	if err != nil {
		return err
	}
	klog.Background().Info("A directory that has lost its mark is taken over for the only volume that names its path",
		"glusterVolume", s.volume.String(), "volume", r.ID, "path", r.Path, "gfid", gfid)
	return s.writeDown(r, gfid)
}

// lookAtHolder looks whether a volume holds its path, without which another may be made in its place.
func (s *Store) lookAtHolder(found *inventory, r Record) error {
	held, err := s.holderOf(r.Path)
	p := Problem{Kind: NotClaimed, Subject: r.ID, Path: r.Path, id: r.ID}
	switch {
	case errors.Is(err, ErrCorrupt):
		return nil // found by lookAtPaths
	case errors.Is(err, fs.ErrNotExist):
		p.Why = "nothing says that the path is this volume's"
	case err != nil:
		return ignoreNotExist(err)
	case held.stamp == r.stamp() && !held.parent:
		return nil
	default:
		p.Why = "the path is claimed for volume " + stampedID(held.stamp)
	}
	if len(found.byPath[r.Path]) > 1 {
		return nil // found as two volumes that have one path
	}
	p.Cure = "claim the path for the volume, unless another that is there has it"
	p.repair = func() error {
		held, err := s.claimPath(holder{stamp: r.stamp(), path: r.Path})
		if heldBy(r.stamp())(held) {
			err = ignoreExist(err) // a claim that was moved aside is back
		}
		return err
	}
	found.add(p)
	return nil
}

// isUnreadableVolume says whether what is known of a volume may be in a record that cannot be read.
func isUnreadableVolume(found *inventory, id string) bool {
	return slices.ContainsFunc(found.problems, func(p Problem) bool {
		return p.Kind == Unreadable && (p.Subject == id || stampedID(p.Subject) == id)
	})
}
