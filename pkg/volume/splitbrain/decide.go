// SPDX-License-Identifier: Apache-2.0

package splitbrain

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Once GlusterFS was told which copy counts, it writes that over the other one. A client that dies meanwhile leaves a
// file that is in split-brain still, whose other copy is of neither side, and may be the newest by its time. So what
// was decided is written down before, and a repetition goes by it, whatever it is told: in a link, whose content is
// the translator of the brick whose copy counts, what the bricks disagree on, and what that copy is, since nobody
// changes that. It keeps the other copy once more, as it is by then: nobody can know that no pod has changed it. A
// decision of an earlier split-brain of the same file is known by the copy that counts, which has changed since, or by
// what they disagree on (TestADecisionIsOfOneSplitBrain).

// decisionSuffix follows the file's gfid.
const decisionSuffix = ".counts"

func decisionName(c Copy) string { return c.gfid + decisionSuffix }

// decisionOf has no time of status: without GlusterFS's ctime feature that moves as GlusterFS writes the other copy.
func decisionOf(c Copy, differ Kind) string {
	st := c.Stat
	return fmt.Sprintf("%s/%s/%d %d.%d %o %d:%d", c.Brick.Translator, differ, st.Size, st.Mtim.Sec, st.Mtim.Nsec, st.Mode, st.Uid, st.Gid)
}

// isDecision says whether a link has a copy count. Of a file whose data and metadata differed GlusterFS settles one
// after the other: where the data is left, it may be half written.
func (f File) isDecision(content string, c Copy) bool {
	return content == decisionOf(c, f.Kind) || f.Kind == Data && content == decisionOf(c, Both)
}

// decide writes down that a copy counts. It returns whether it was not written down before. ErrBusy if another process
// has decided for the other copy, which stays so.
func (v *Volume) decide(f File, counts int) (isNew bool, err error) {
	work, err := v.store.EnsureOwnShard(workDir, v.record.ID)
	if err != nil {
		return false, err
	}
	c := f.Copies[counts]
	name := decisionName(c)
	for range 2 {
		err = work.Symlink(decisionOf(c, f.Kind), name)
		if !errors.Is(err, fs.ErrExist) {
			return err == nil, err
		}
		have, readErr := work.Readlink(name)
		switch {
		case errors.Is(readErr, fs.ErrNotExist):
			continue
		case readErr != nil:
			return false, readErr
		case f.isDecision(have, c):
			return false, nil
		case f.isDecision(have, f.Copies[1-counts]):
			return false, fmt.Errorf("another process has the copy of %s count: %w", f.Copies[1-counts].Brick.Address, volume.ErrBusy)
		}
		if err := volume.IgnoreNotExist(work.Unlink(name)); err != nil { // of an earlier split-brain
			return false, err
		}
	}
	return false, fmt.Errorf("another process decides on it: %w", errors.Join(volume.ErrBusy, err))
}

// isDecided looks whether what decide wrote down is there.
func (v *Volume) isDecided(f File, counts int) error {
	i, found, err := v.decided(f)
	if err == nil && (!found || i != counts) {
		err = fmt.Errorf("another process decides on it: %w", volume.ErrBusy)
	}
	return err
}

// decided returns the index of the copy that counts by a decision which an attempt that ended halfway has written down.
func (v *Volume) decided(f File) (counts int, found bool, err error) {
	work, err := v.existing()
	if err != nil || work == nil || f.Kind == Name { // of which no file is written over another
		return 0, false, err
	}
	for i, c := range f.Copies {
		content, err := work.Readlink(decisionName(c))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return 0, false, err
		case f.isDecision(content, c):
			return i, true, nil
		}
	}
	return 0, false, nil
}

// existing is the directory that has what is written aside, nil if there is none.
func (v *Volume) existing() (*safepath.Dir, error) {
	dirs, err := v.store.ExistingShards(workDir, v.record.ID)
	if err != nil || len(dirs) == 0 {
		return nil, err
	}
	return dirs[0], nil
}

// removeWork removes something that may have been written aside.
func (v *Volume) removeWork(name string) error {
	work, err := v.existing()
	if err != nil || work == nil {
		return err
	}
	return volume.IgnoreNotExist(work.Unlink(name))
}

// forget removes the decision on a file that is settled.
func (v *Volume) forget(gfid string) error { return v.removeWork(gfid + decisionSuffix) }

// forgetAt removes a decision on a file that its bricks agree on.
func (v *Volume) forgetAt(rel string) error {
	gfid, err := v.gfidAt(rel)
	if err != nil {
		return err
	}
	return v.forget(gfid)
}

// gfidAt is that of what is at a path, if its bricks agree on its name.
func (v *Volume) gfidAt(rel string) (string, error) {
	at, name, err := parent(v.asked, rel)
	if err != nil {
		return "", err
	}
	defer at.Close()
	entry, err := at.Entry(name)
	if err != nil {
		return "", err
	}
	defer entry.Close()
	return store.GFIDOf(entry)
}
