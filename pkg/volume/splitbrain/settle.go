// SPDX-License-Identifier: Apache-2.0

package splitbrain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// finalizeXattr is the virtual attribute that has the copy of one brick count, by the name of its translator.
const finalizeXattr = "replica.split-brain-heal-finalize"

// Keep says which copy counts.
type Keep struct {
	by    string
	brick string
}

// The ways to say it.
const (
	newest  = "newest"
	largest = "largest"
	ofBrick = "brick="
)

// ParseKeep reads "newest", "largest" or "brick=HOST:PATH".
func ParseKeep(text string) (Keep, error) {
	if brick, ok := strings.CutPrefix(text, ofBrick); ok && brick != "" {
		return Keep{by: ofBrick, brick: brick}, nil
	}
	if text == newest || text == largest {
		return Keep{by: text}, nil
	}
	return Keep{}, fmt.Errorf("%q is not newest, largest or brick=HOST:PATH: %w", text, volume.ErrInvalid)
}

// Choose returns the index of the copy that counts.
func (k Keep) Choose(f File) (int, error) {
	var order func(a, b Copy) int
	switch k.by {
	case ofBrick:
		i := slices.IndexFunc(f.Copies, func(c Copy) bool { return c.Brick.Address == k.brick })
		if i < 0 {
			return 0, fmt.Errorf("%s has no copy on %s: %w", f.Path, k.brick, volume.ErrInvalid)
		}
		return i, nil
	case newest:
		order = byTime
	default:
		order = bySize
	}
	best := slices.MaxFunc(f.Copies, order)
	if slices.ContainsFunc(f.Copies, func(c Copy) bool { return c.side != best.side && order(c, best) == 0 }) {
		return 0, fmt.Errorf("%s: no copy is the %s: %w: name one by brick=HOST:PATH", f.Path, k.by, volume.ErrInvalid)
	}
	return slices.IndexFunc(f.Copies, func(c Copy) bool { return c.side == best.side }), nil
}

func byTime(a, b Copy) int {
	return cmp.Or(cmp.Compare(a.Stat.Mtim.Sec, b.Stat.Mtim.Sec), cmp.Compare(a.Stat.Mtim.Nsec, b.Stat.Mtim.Nsec))
}

func byChange(a, b Copy) int {
	return cmp.Or(cmp.Compare(a.Stat.Ctim.Sec, b.Stat.Ctim.Sec), cmp.Compare(a.Stat.Ctim.Nsec, b.Stat.Ctim.Nsec))
}

func bySize(a, b Copy) int { return cmp.Compare(a.Stat.Size, b.Stat.Size) }

// Settled is what became of one file.
type Settled struct {
	Counts Brick  // whose copy counts
	Kept   string // the path below the volume's directory at which the other one is kept
}

// Counts returns whose copy Settle would have count: by a decision that an attempt has written down, or as k says.
func (v *Volume) Counts(f File, k Keep) (Brick, error) {
	counts, err := v.counting(f, k)
	if err != nil {
		return Brick{}, err
	}
	return f.Copies[counts].Brick, nil
}

func (v *Volume) counting(f File, k Keep) (int, error) {
	counts, isDecided, err := v.decided(f)
	if err == nil && !isDecided {
		counts, err = k.Choose(f)
	}
	return counts, err
}

// Settle has one copy of a file count, and keeps the other one beside it. ErrInvalid for what cannot be settled here,
// or where no copy is the one that is asked for; ErrBusy for what changes meanwhile: nothing is settled then, and a
// copy may have been kept. Of a name GlusterFS may in that moment choose the other file: what is returned beside
// ErrBusy says so, and where the one is kept that was to count. A file that the bricks agree on by now is left alone:
// then Kept is "", unless a kill had left a copy aside.
func (v *Volume) Settle(ctx context.Context, f File, k Keep) (Settled, error) {
	rel := f.Path
	f, found, err := v.At(ctx, rel)
	switch {
	case err != nil:
		return Settled{}, v.explain(f, err)
	case !found:
		kept, err := v.placeCounting(ctx, rel)
		return Settled{Kept: kept}, v.explain(f, errors.Join(err, v.forgetAt(rel)))
	case f.Why != "":
		return Settled{}, fmt.Errorf("%s: %w: %s", f.Path, volume.ErrInvalid, f.Why)
	}
	counts, err := v.counting(f, k)
	if err != nil {
		return Settled{}, v.explain(f, err)
	}
	if f.Kind == Name {
		settled, err := v.settleName(ctx, f, counts)
		return settled, v.explain(f, err)
	}
	settled, err := v.settleContent(ctx, f, counts)
	return settled, v.explain(f, err)
}

func (v *Volume) explain(f File, err error) error {
	if err == nil {
		return nil
	}
	return v.store.Explain(fmt.Errorf("settle %s of volume %s on %s: %w", f.Path, v.record.ID, v.store.Volume, err))
}

// settleContent settles a file of which each side has one version.
func (v *Volume) settleContent(ctx context.Context, f File, counts int) (s Settled, err error) {
	by := gluster.ByMetadata
	if f.Kind == Data {
		by = gluster.ByData
	}
	err = v.bySettling(by, f.Path, func(at *safepath.Dir, name string) error {
		kept, err := v.keepOther(ctx, f, counts)
		if err != nil {
			return err
		}
		if err := v.choose(f, counts, at, name); err != nil {
			return err
		}
		s = Settled{f.Copies[counts].Brick, besidePath(f.Path, kept)}
		v.store.Step(stepTold)
		return v.forget(f.Copies[counts].gfid)
	})
	return s, err
}

// keepOther keeps the copy that does not count, has it on disk, and returns its name, if both copies are still what they
// were then.
func (v *Volume) keepOther(ctx context.Context, f File, counts int) (name string, err error) {
	other := f.Copies[1-counts]
	if name, err = v.keep(ctx, f, other); err != nil {
		return "", fmt.Errorf("keep the copy of %s: %w", other.Brick.Address, err)
	}
	v.store.Step(stepKept)
	if err := v.store.Commit(); err != nil {
		return "", err
	}
	v.store.Step(stepForced)
	return name, v.isStill(f)
}

// choose tells GlusterFS which copy counts, and returns when the other brick has it. The last that is done before is to
// look whether both are what they were: what a pod that one side alone has writes between that and what GlusterFS does
// at once is in neither copy.
func (v *Volume) choose(f File, counts int, at *safepath.Dir, name string) error {
	isNew, err := v.decide(f, counts)
	if err == nil {
		err = v.store.Commit()
	}
	if err != nil {
		return err
	}
	v.store.Step(stepDecided)
	entry, _, err := at.EntryAndStat(name)
	if err == nil {
		defer entry.Close()
		err = v.isDecided(f, counts)
	}
	if err == nil {
		err = v.isStill(f)
	}
	if err != nil {
		if isNew { // GlusterFS was told nothing, so the next attempt is free to decide
			err = errors.Join(err, v.forget(f.Copies[counts].gfid))
		}
		return err
	}
	v.store.Step(stepLooked)
	if err := entry.SetXattr(finalizeXattr, f.Copies[counts].Brick.Translator); err != nil {
		return fmt.Errorf("have the copy of %s count: %w", f.Copies[counts].Brick.Address, err)
	}
	return isSettled(at, name)
}

// isStill looks whether both copies are what they were when they were found.
func (v *Volume) isStill(f File) error {
	for _, c := range f.Copies {
		source, in, err := v.openCopy(f, c)
		if err != nil {
			return err
		}
		source.Close()
		_ = in.Close()
	}
	return nil
}

// bySettling calls do with the directory that has a file, as a client has it that settles.
func (v *Volume) bySettling(by gluster.Choice, rel string, do func(at *safepath.Dir, name string) error) error {
	root, release, err := v.clients.Settling(by)
	if err != nil {
		return err
	}
	defer release()
	top, err := v.open(root, v.record.Path)
	if err != nil {
		return err
	}
	defer top.Close()
	at, name, err := parent(top, rel)
	if err != nil {
		return err
	}
	defer at.Close()
	return do(at, name)
}

func isSettled(at *safepath.Dir, name string) error {
	kind, err := kindOf(at, name)
	if err == nil && kind != "" {
		err = fmt.Errorf("its bricks disagree still (%s): %w", kind, unix.EIO)
	}
	return err
}
