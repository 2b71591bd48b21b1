// SPDX-License-Identifier: Apache-2.0

package copying

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// slice is how many files and directories of one copy are removed in a round, so that the next waits for no larger one.
const slice = 50_000

var errSlice = errors.New("the rest goes in the next round")

// removingName is the name of a copy that is being removed.
func removingName(kind volume.CopyKind, stamp string) string { return string(kind) + "." + stamp }

// GiveUp ends a copy, complete or not: by a rename, however much it is. What it has is removed by Reap. It needs no
// free space, and what it did is on disk when it returns. A copy that was given up before, and whatever has its ID
// since, stays as it is.
func (s *Copies) GiveUp(st Status) error {
	err := s.giveUp(st)
	if err == nil {
		err = s.Commit()
	}
	if err != nil {
		err = s.Explain(fmt.Errorf("give up the copy %s of %s on %s: %w", st.ID, s.Kind, s.Volume, err))
	}
	return err
}

func (s *Copies) giveUp(st Status) error {
	removing, err := s.EnsureShard(owndir.RemovingDir, st.ID)
	if err != nil {
		return err
	}
	home, err := s.home(st)
	if err != nil {
		return err
	}
	record, name := st.ID+store.RecordSuffix, removingName(s.Kind, st.Stamp())
	if claimed, err := s.isClaimed(st); err != nil {
		return err
	} else if claimed {
		s.Step(stepGivingUp)
		err := s.FreeLink(home, record, func() error { return home.Rename(record, removing, name+store.RecordSuffix) })
		if volume.IgnoreNotExist(err) != nil {
			return err
		}
		s.Step(stepGivenUp)
		if err := s.lookAtMoved(st, home, removing, name+store.RecordSuffix); err != nil {
			return err
		}
	}
	return s.moveRest(st.Stamp(), home, removing)
}

// lookAtMoved puts back a claim that became another's between the look and the rename.
func (s *Copies) lookAtMoved(st Status, home, removing *safepath.Dir, name string) error {
	content, err := owndir.Readlink(removing, name)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	moved, err := volume.ParseCopy(content)
	if err != nil || moved.Stamp() == st.Stamp() {
		return err
	}
	if err := s.ClaimLink(home, content, st.ID+store.RecordSuffix); err != nil {
		return errors.Join(err, volume.ErrBusy)
	}
	return volume.IgnoreNotExist(removing.Unlink(name))
}

// moveRest moves the directory of a copy that was given up, and removes the link that says that it is complete.
func (s *Copies) moveRest(stamp string, from, removing *safepath.Dir) error {
	err := from.Rename(stamp, removing, removingName(s.Kind, stamp))
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		err = nil // one that copied has made it again: see Reap
	}
	if err = volume.IgnoreNotExist(err); err != nil {
		return err
	}
	s.Step(stepMoved)
	return volume.IgnoreNotExist(from.Unlink(stamp + doneSuffix))
}

// GivenUp lists what was given up and is not removed yet, by the copy's directory or its claim, and what else lies
// there.
func GivenUp(s *store.Store) (found map[string]*safepath.Dir, others []owndir.File, err error) {
	files, err := s.Files(owndir.RemovingDir)
	found = map[string]*safepath.Dir{}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name, store.RecordSuffix)
		if _, _, ok := parseRemoving(name); ok {
			found[name] = f.Dir
		} else {
			others = append(others, f)
		}
	}
	return found, others, err
}

// Reap removes what was given up, of all kinds, and returns how many copies it has removed. What is left of one,
// because it has more than a slice or ctx is done, goes with the next call, here or on another host.
func Reap(ctx context.Context, s *store.Store) (int, error) {
	found, _, err := GivenUp(s)
	reaped, reapErr := Remove(ctx, s, found)
	return reaped, errors.Join(s.Explain(err), reapErr)
}

// Remove is Reap of some of what GivenUp has found.
func Remove(ctx context.Context, s *store.Store, found map[string]*safepath.Dir) (int, error) {
	var errs []error
	for name, dir := range found {
		kind, stamp, _ := parseRemoving(name)
		if err := New(s, kind).finish(stamp, dir); err != nil {
			errs = append(errs, err)
			delete(found, name)
		}
	}
	if len(found) > 0 {
		if err := s.Commit(); err != nil { // what has lost files must not be there again because a server forgot this
			return 0, s.Explain(errors.Join(append(errs, err)...))
		}
	}
	reaped := 0
	for name, dir := range found {
		err := reap(ctx, s, name, dir)
		if err == nil {
			reaped++
		} else if !errors.Is(err, errSlice) {
			errs = append(errs, fmt.Errorf("remove the copy %s on %s: %w", name, s.Volume, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return reaped, s.Explain(errors.Join(errs...))
}

func parseRemoving(name string) (kind volume.CopyKind, stamp string, ok bool) {
	word, stamp, found := strings.Cut(name, ".")
	kind = volume.CopyKind(word)
	_, _, ok = volume.ParseStamp(stamp)
	return kind, stamp, found && ok && (kind == volume.Snapshots || kind == volume.Clones)
}

// finish is moveRest for what somebody else has given up.
func (s *Copies) finish(stamp string, removing *safepath.Dir) error {
	shards, err := s.ExistingShards(string(s.Kind), volume.IDOfStamp(stamp))
	for _, dir := range shards {
		err = errors.Join(err, s.moveRest(stamp, dir, removing))
	}
	return err
}

func reap(ctx context.Context, s *store.Store, name string, dir *safepath.Dir) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var removed atomic.Int64
	count := func() {
		if removed.Add(1) == slice {
			cancel(errSlice)
		}
	}
	kind, stamp, _ := parseRemoving(name)
	shards, err := s.ExistingShards(string(kind), volume.IDOfStamp(stamp))
	if err == nil {
		err = mayRemove(s, owndir.File{Dir: dir, Name: name})
	}
	if err == nil {
		err = tree.Remove(ctx, dir, name, nil, s.Permit, count)
	}
	for _, made := range shards { // by one who copied when it was given up
		if err == nil {
			err = tree.Remove(ctx, made, stamp, nil, s.Permit, count)
		}
	}
	if err != nil {
		return err
	}
	s.Step(stepRemoved)
	if err := volume.IgnoreNotExist(dir.Unlink(name + store.RecordSuffix)); err != nil {
		return err
	}
	klog.FromContext(ctx).Info("Removed a copy that was given up", "glusterVolume", s.Volume.String(), "copy", name, "files", removed.Load())
	return nil
}

// MayRemove returns nil if nothing keeps Reap from removing what GivenUp has found under a name.
func MayRemove(s *store.Store, name string, dir *safepath.Dir) error {
	return s.Explain(mayRemove(s, owndir.File{Dir: dir, Name: name}))
}

// mayRemove returns nil if all bricks have the tree of a copy where it is to be removed, and no record names it: that of
// a clone may be a volume. Who completes the record looks for the claim then, and this for the record when the claim is
// gone: so one of them sees the other (TestACopyThatIsGivenUpWhileItBecomesAVolume).
func mayRemove(s *store.Store, at owndir.File) error {
	above, err := at.Dir.Open(at.Name)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	defer above.Close()
	dir, err := above.Open(treeName)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	defer dir.Close()
	if err := isNoVolume(s, dir, at.Name); err != nil {
		return err
	}
	where, err := s.PlaceOfFile(owndir.File{Dir: above, Name: treeName})
	if err == nil {
		err = s.CheckOneName(dir, where)
	}
	return err
}

// isNoVolume returns nil if the tree of a copy that was given up is not that of a volume which is there, or whose record
// another has moved aside (TestACopyIsNotRemovedWhileTheRecordOfItsVolumeIsAside).
func isNoVolume(s *store.Store, dir *safepath.Dir, name string) error {
	gfid, err := store.GFIDOf(dir)
	if err != nil {
		return err
	}
	_, stamp, _ := parseRemoving(name)
	id := volume.IDOfStamp(stamp)
	if has, err := s.HasGFIDOrAside(id, gfid); err != nil || !has {
		return err
	}
	return fmt.Errorf("%s is the directory of volume %s, which is there: %w; it goes when CreateVolume is called for that again, or DeleteVolume", dir.Name(), id, volume.ErrForeign)
}
