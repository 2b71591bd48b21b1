// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// lookAtVolumes holds each record against the directory in its path and against the path's claim.
func (s *Checker) lookAtVolumes(ctx context.Context, found *inventory) error {
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
	return permits.Each(ctx, s.Permit, slices.Collect(maps.Values(found.volumes)), func(r volume.Record) error { return s.lookAtVolume(found, r) })
}

func (s *Checker) lookAtVolume(found *inventory, r volume.Record) error {
	dir, err := s.Root.Open(r.Path)
	switch {
	case errors.Is(err, safepath.ErrLink), errors.Is(err, unix.ENOTDIR):
		found.add(otherDirectory(r, "what is there is not a directory"))
		return nil
	case err != nil && volume.IgnoreNotExist(err) == nil:
		return s.lookAtNoDirectory(found, r)
	case err != nil:
		return err
	}
	defer dir.Close()
	have, err := store.GFIDOf(dir)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	want, err := s.RecordedGFID(r)
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

func otherDirectory(r volume.Record, why string) Problem {
	return Problem{Kind: OtherDirectory, Subject: r.ID, Path: r.Path, Why: why,
		Cure: "nothing: look who put it there, move it away, and bring the volume's own back by a rename"}
}

// lookAtUnrecorded looks at a volume of schema 1 that has not been taken over. One that has its mark will be.
func (s *Checker) lookAtUnrecorded(found *inventory, r volume.Record, dir *safepath.Dir, gfid string) error {
	mark, err := dir.Xattr(store.MarkXattr)
	switch {
	case err != nil:
		return volume.IgnoreNotExist(err)
	case mark == r.Stamp():
		return nil
	case mark != "":
		found.add(otherDirectory(r, "the directory there has the mark of volume "+volume.IDOfStamp(mark)))
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
func (s *Checker) mayBeAnothers(found *inventory, r volume.Record, gfid string) (string, error) {
	if len(found.byPath[r.Path]) > 1 {
		return "another volume has the path, too", nil
	}
	if other, taken := found.byInode[store.InodeOf(gfid)]; taken {
		return "the directory is that of volume " + other.ID, nil
	}
	held, err := s.HolderOf(r.Path)
	switch {
	case err != nil:
		return "", volume.IgnoreNotExist(err)
	case held.Parent:
		return "the directory is there to hold volumes", nil
	case held.Stamp != r.Stamp():
		return "the path is claimed by volume " + volume.IDOfStamp(held.Stamp), nil
	}
	return "", nil
}

// takeOverUnmarked records the gfid of the directory that was looked at, unless another is there by now.
func (s *Checker) takeOverUnmarked(r volume.Record, gfid string) error {
	dir, err := s.Root.Open(r.Path)
	if err != nil {
		return err
	}
	defer dir.Close()
	have, err := store.GFIDOf(dir)
	if err == nil && have != gfid {
		err = fmt.Errorf("the directory was replaced meanwhile: %w", volume.ErrBusy)
	}
	if err != nil {
		return err
	}
	klog.Background().Info("A directory that has lost its mark is taken over for the only volume that names its path",
		"glusterVolume", s.Volume.String(), "volume", r.ID, "path", r.Path, "gfid", gfid)
	return s.RecordGFID(r, gfid)
}

// lookAtHolder looks whether a volume holds its path, without which another may be made in its place.
func (s *Checker) lookAtHolder(found *inventory, r volume.Record) error {
	held, err := s.HolderOf(r.Path)
	p := Problem{Kind: NotClaimed, Subject: r.ID, Path: r.Path, id: r.ID}
	switch {
	case errors.Is(err, volume.ErrCorrupt):
		return nil // found by lookAtPaths
	case errors.Is(err, fs.ErrNotExist):
		p.Why = "nothing says that the path is this volume's"
	case err != nil:
		return volume.IgnoreNotExist(err)
	case held.Stamp == r.Stamp() && !held.Parent:
		return nil
	default:
		p.Why = "the path is claimed for volume " + volume.IDOfStamp(held.Stamp)
	}
	if len(found.byPath[r.Path]) > 1 {
		return nil // found as two volumes that have one path
	}
	p.Cure = "claim the path for the volume, unless another that is there has it"
	p.repair = func() error { return s.Creations.ClaimAgain(r) }
	found.add(p)
	return nil
}

// isUnreadableVolume says whether what is known of a volume may be in a record that cannot be read.
func isUnreadableVolume(found *inventory, id string) bool {
	return slices.ContainsFunc(found.problems, func(p Problem) bool {
		return p.Kind == Unreadable && (p.Subject == id || volume.IDOfStamp(p.Subject) == id)
	})
}
