// SPDX-License-Identifier: Apache-2.0

package splitbrain

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// Where each side has given a name to a file of its own, GlusterFS chooses one of them as it looks the name up, by an
// order of its own, and removes the other. It cannot be told which. A pod that one side alone has may in that moment
// make the other file the newest. So both are written down before: the one that does not count beside, and the one
// that counts aside, in the driver's own directory. It goes from there once it has the name, and is kept beside if it
// has not: by this attempt or, after a kill, by a repetition (TestTheFileThatWasToCountIsKeptIfGlusterFSChoosesTheOther).
// The reconciler, which does not know the path, leaves it.

// choices are the ways to have GlusterFS choose a copy, the surest first. A pod that writes to the other copy after the
// last look at it makes that the one changed last, and as a rule the newest, so GlusterFS chooses it, and both are kept.
// It need not make it the largest: by size what was written would be lost.
var choices = []struct {
	by    gluster.Choice
	order func(a, b Copy) int
}{{gluster.ByCtime, byChange}, {gluster.ByMtime, byTime}, {gluster.BySize, bySize}}

// choiceOf is what would have GlusterFS choose this copy of a name by itself: it cannot be told.
func choiceOf(f File, counts int) (gluster.Choice, error) {
	for _, choice := range choices {
		if choice.order(f.Copies[counts], f.Copies[1-counts]) > 0 {
			return choice.by, nil
		}
	}
	return "", fmt.Errorf("%s: each side has given the name to a file of its own, and the one on %s is neither newer nor larger: %w: GlusterFS's clients cannot be told to take that one",
		f.Path, f.Copies[counts].Brick.Address, volume.ErrInvalid)
}

// settleName has GlusterFS choose which file has the name, by one look at it, and looks whether that is the right one.
func (v *Volume) settleName(ctx context.Context, f File, counts int) (s Settled, err error) {
	by, err := choiceOf(f, counts)
	if err != nil {
		return Settled{}, err
	}
	err = v.bySettling(by, f.Path, func(at *safepath.Dir, name string) (err error) {
		s, err = v.chooseName(ctx, f, counts, at, name)
		return err
	})
	return s, err
}

func (v *Volume) chooseName(ctx context.Context, f File, counts int, at *safepath.Dir, name string) (Settled, error) {
	if err := v.setAside(ctx, f, f.Copies[counts]); err != nil {
		return Settled{}, fmt.Errorf("set the copy of %s aside: %w", f.Copies[counts].Brick.Address, err)
	}
	kept, err := v.keepOther(ctx, f, counts)
	if err != nil { // nobody has looked the name up, so both files are there
		return Settled{}, errors.Join(err, v.removeCounting(f.Path, f.Copies[counts]))
	}
	v.store.Step(stepLooked)
	_, err = at.LookUp(name)
	v.store.Step(stepTold)
	if err == nil {
		err = v.isSettledAt(f.Path)
	}
	has := ""
	if err == nil {
		has, err = v.gfidAt(f.Path)
	}
	if err != nil {
		return Settled{}, fmt.Errorf("have the file of %s get the name: %w; repeat it", f.Copies[counts].Brick.Address, err)
	}
	instead, err := v.placeCounting(ctx, f.Path)
	if err != nil || has == f.Copies[counts].gfid {
		return Settled{f.Copies[counts].Brick, besidePath(f.Path, kept)}, err
	}
	return Settled{f.Copies[1-counts].Brick, instead}, fmt.Errorf("the file of %s was changed at that moment, and GlusterFS gave the name to it; the one of %s is kept as %s: %w",
		f.Copies[1-counts].Brick.Address, f.Copies[counts].Brick.Address, instead, volume.ErrBusy)
}

func (v *Volume) isSettledAt(rel string) error {
	at, name, err := parent(v.asked, rel)
	if err != nil {
		return err
	}
	defer at.Close()
	return isSettled(at, name)
}

// countingSuffix is that of what is set aside of the file at a path.
func (v *Volume) countingSuffix(rel string) string {
	return fmt.Sprintf(".%x", sha256.Sum256([]byte(v.record.ID+"/"+rel)))[:33]
}

// setAside has the copy that is to count in the driver's own directory, whole and synced.
func (v *Volume) setAside(ctx context.Context, f File, c Copy) error {
	source, in, err := v.openCopy(f, c)
	if err != nil {
		return err
	}
	defer source.Close()
	defer in.Close()
	held, err := v.writeAside(ctx, source, in, c)
	if err != nil {
		return err
	}
	held.Close()
	work, err := v.store.EnsureOwnShard(workDir, v.record.ID)
	if err != nil {
		return err
	}
	return work.Rename(asideName(c), work, asideName(c)+v.countingSuffix(f.Path))
}

func (v *Volume) removeCounting(rel string, c Copy) error {
	return v.removeWork(asideName(c) + v.countingSuffix(rel))
}

// placeCounting removes what was set aside of the file at a path, if that has the name, and keeps it beside if another
// one has. It returns the path at which it is kept then, "" if nothing is.
func (v *Volume) placeCounting(ctx context.Context, rel string) (kept string, err error) {
	work, err := v.existing()
	if err != nil || work == nil {
		return "", err
	}
	names, err := work.Names(0)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		of, isOf := strings.CutSuffix(name, v.countingSuffix(rel))
		if !isOf {
			continue
		}
		gfid, side, _ := strings.Cut(of, ".")
		have, err := v.gfidAt(rel)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return kept, err
		}
		if have != gfid {
			c := Copy{gfid: gfid}
			c.side, _ = strconv.Atoi(side)
			if kept, err = v.placeBeside(ctx, work, name, rel, c); err != nil {
				return "", err
			}
		}
		if err := volume.IgnoreNotExist(work.Unlink(name)); err != nil {
			return kept, err
		}
	}
	return kept, nil
}

// placeBeside gives what was set aside a name beside a path, on disk.
func (v *Volume) placeBeside(ctx context.Context, work *safepath.Dir, aside, rel string, c Copy) (string, error) {
	held, st, err := work.EntryAndStat(aside)
	if err != nil {
		return "", err
	}
	defer held.Close()
	c.Stat = st
	at, base, err := parent(v.all, rel)
	if err != nil {
		return "", err
	}
	defer at.Close()
	name, err := v.linkBeside(ctx, held, at, base, c)
	if err == nil {
		err = v.store.Commit()
	}
	return besidePath(rel, name), err
}
