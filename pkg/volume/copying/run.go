// SPDX-License-Identifier: Apache-2.0

package copying

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// leastFree is the part of the Gluster volume, of its bytes and of its inodes, that copies leave to applications.
const leastFree = 0.05

// Options of one run.
type Options struct {
	// Previous, where set, is what the copy may have links to, and its stamp.
	Previous      *copies.Previous
	PreviousStamp string
	// Hash has the content of each file in the manifest.
	Hash bool
	// Own keeps the copy out of what in the source is not the source's own.
	Own tree.Own
	// Prepare, where set, is called with the empty tree, or that of an earlier run, before anything is copied.
	Prepare func(tree *safepath.Dir) error
	// Still, where set, is asked when all is copied: an error says that the source was being removed meanwhile, so that
	// the copy may lack something. It is called without the permit.
	Still    func() error
	Progress *copies.Progress
}

// Run copies what is in a directory, or goes on with that, until the copy is complete, and returns what it came to. It
// is on disk then. Errors, after which the next Run goes on: ErrBusy where another process copies, ErrNoSpace where the
// Gluster volume is nearly full, ErrNotFound where the copy was given up, the context's cause, and what the Gluster
// volumes say.
func (s *Copies) Run(ctx context.Context, st Status, from *safepath.Dir, o Options) (volume.CopyResult, error) {
	result, err := s.run(ctx, st, from, o)
	if err != nil {
		err = s.Explain(fmt.Errorf("copy %s to %s of %s on %s: %w", st.Source, st.ID, s.Kind, s.Volume, err))
	}
	return result, err
}

func (s *Copies) run(ctx context.Context, st Status, from *safepath.Dir, o Options) (volume.CopyResult, error) {
	if st.Result != nil {
		return *st.Result, nil
	}
	p, err := s.makePlace(st)
	if err != nil {
		return volume.CopyResult{}, err
	}
	defer p.close()
	l, err := s.takeLease(st, p.at)
	if err != nil {
		return volume.CopyResult{}, err
	}
	defer l.giveBack()
	if st.Result, err = s.resultOf(st); err != nil || st.Result != nil { // by the one who had the lease before
		if err == nil {
			return *st.Result, s.Commit()
		}
		return volume.CopyResult{}, err
	}
	if o.Prepare != nil {
		if err := o.Prepare(p.tree); err != nil {
			return volume.CopyResult{}, err
		}
	}
	holding, stop := l.hold(ctx)
	copied, err := copies.Copy(holding, from, p.tree, copies.Options{
		Work: p.work, Previous: o.Previous, Hash: o.Hash, Own: o.Own, Room: s.Room, Progress: o.Progress, Permit: s.Permit,
	})
	lost := context.Cause(holding)
	stop()
	if err != nil {
		return volume.CopyResult{}, errors.Join(err, lost)
	}
	s.Step(stepCopied)
	if o.Still != nil {
		s.Permit.Without(func() { err = o.Still() })
	}
	if err != nil {
		return volume.CopyResult{}, err
	}
	return s.complete(ctx, st, l, copied, o)
}

// Room returns an ErrNoSpace where the Gluster volume is so full that what is left is for applications.
func (s *Copies) Room() error {
	free, err := s.FreePart()
	if err == nil && free < leastFree {
		err = fmt.Errorf("%s has %.1f %% of its bytes or inodes free, and copies leave the last %.0f %% to applications: %w: free some, and the copy goes on where it was",
			s.Volume, 100*free, 100*leastFree, volume.ErrNoSpace)
	}
	return err
}

// complete writes down what a copy has come to.
func (s *Copies) complete(ctx context.Context, st Status, l *lease, c copies.Result, o Options) (volume.CopyResult, error) {
	r := volume.CopyResult{
		Completed: volume.Now(), Entries: c.Entries, Bytes: c.Bytes, Size: volume.SizeOf(c.Entries, c.Bytes, st.Held), Linked: c.Linked,
		Previous: o.PreviousStamp, Changed: counted(c.Changed), Vanished: counted(c.Vanished), Unkept: counted(c.Unkept),
	}
	content, err := r.Encode()
	if err == nil {
		err = s.Commit() // first what it is to say
	}
	if err == nil {
		err = l.lost()
	}
	if err != nil {
		return r, err
	}
	home, err := s.home(st)
	if err != nil {
		return r, err
	}
	name := st.Stamp() + doneSuffix
	if err := volume.IgnoreExist(s.ClaimLink(home, content, name)); err != nil {
		return r, err
	}
	s.Step(stepCompleted)
	claimed, err := s.isClaimed(st)
	if err == nil && !claimed {
		return r, errors.Join(fmt.Errorf("it was given up meanwhile: %w", volume.ErrNotFound), volume.IgnoreNotExist(home.Unlink(name)))
	}
	if err == nil {
		err = s.Commit()
	}
	if err == nil {
		s.log(ctx, st, r, &c)
	}
	return r, err
}

func (s *Copies) log(ctx context.Context, st Status, r volume.CopyResult, c *copies.Result) {
	fields := []any{
		"kind", s.Kind, "copy", s.Volume.String() + "/" + st.ID, "source", st.Source.String(), "entries", r.Entries, "bytes", r.Bytes,
		"written", c.Written, "linked", c.Linked, "foundDone", c.Found, "took", r.Completed.Sub(st.Created).String(),
	}
	for what, names := range map[string]*copies.Names{"changedMeanwhile": &c.Changed, "vanishedMeanwhile": &c.Vanished, "notKept": &c.Unkept} {
		if names.Count > 0 {
			fields = append(fields, what, names.Count, what+"First", names.String())
		}
	}
	klog.FromContext(ctx).Info("A copy is complete", fields...)
}

func counted(n copies.Names) volume.Counted {
	c := volume.Counted{Count: n.Count}
	for _, name := range n.First {
		c.First = append(c.First, fmt.Sprintf("%q", name))
	}
	return c
}

// place is what is open of a copy.
type place struct{ at, tree, work *safepath.Dir }

func (p *place) close() {
	for _, dir := range []*safepath.Dir{p.at, p.tree, p.work} {
		if dir != nil {
			dir.Close()
		}
	}
}

// newMode keeps everybody else out of a copy.
const newMode = 0o700

// makePlace makes the directories of a copy, or finds those of an earlier run.
func (s *Copies) makePlace(st Status) (_ *place, err error) {
	p := &place{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	home, err := s.home(st)
	if err != nil {
		return nil, err
	}
	if p.at, err = makeDirectory(home, st.Stamp()); err != nil {
		return nil, err
	}
	// After it: what is given up later moves the directory, too.
	claimed, err := s.isClaimed(st)
	if err == nil && !claimed {
		err = errors.Join(fmt.Errorf("it was given up meanwhile: %w", volume.ErrNotFound), volume.IgnoreNotExist(home.Rmdir(st.Stamp())))
	}
	if err != nil {
		return nil, err
	}
	s.Step(stepPlaced)
	if p.tree, err = makeDirectory(p.at, treeName); err == nil {
		p.work, err = makeDirectory(p.at, workName)
	}
	return p, err
}

func makeDirectory(parent *safepath.Dir, name string) (*safepath.Dir, error) {
	if err := volume.IgnoreExist(parent.Mkdir(name, newMode)); err != nil {
		return nil, err
	}
	return parent.Open(name)
}
