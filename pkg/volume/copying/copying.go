// SPDX-License-Identifier: Apache-2.0

// Package copying makes copies of trees that are kept by the driver on a Gluster volume, and go on whoever dies. They
// are snapshots, or clones, which become volumes when they are complete.
//
//	snapshots/<shard>/<id>.json            a link that says what was asked for, and claims the ID. It never changes
//	snapshots/<shard>/<id>.<created>/      the copy of that life of the ID
//	    tree/                              what is copied, with the owner and the mode of the source's top
//	    work/                              its manifest, and what the copying needs (pkg/tree/copies)
//	    lease.<n>                          who copies (lease.go)
//	snapshots/<shard>/<id>.<created>.done  a link that says what it came to: it is complete. It never changes
//	clones/<shard>/…                       the same, and in the copy's directory
//	    asked                              its time is when a caller asked for the clone last
//	removing/<shard>/<kind>.<id>.<created>.json  the claim of what was given up, until all of it is removed
//	removing/<shard>/<kind>.<id>.<created>/      the copy's directory
//
// A claim is made exclusive and whole (pkg/volume/owndir, claims.go), and is on disk before anything else is done. Who copies holds a
// lease, and whoever finds a copy without a holder that lives goes on with it. What is complete is on disk before the
// link says so. What is given up is so in one step, the rename of the claim; then follow the directory and the link, by
// the caller or whoever comes next (TestKilledAtEveryPoint). No name but the claim's is ever given twice.
package copying

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// The named points: a kill at any of them is finished by the next who comes.
const (
	stepClaimed   = "copy: claimed"
	stepPlaced    = "copy: directory made"
	stepLeased    = "copy: lease taken"
	stepCopied    = "copy: tree copied"
	stepCompleted = "copy: complete"
	stepGivingUp  = "copy: to be given up"
	stepGivenUp   = "copy: claim moved aside"
	stepMoved     = "copy: directory moved aside"
	stepRemoved   = "copy: directory removed"
)

const (
	doneSuffix = ".done"
	treeName   = "tree"
	workName   = "work"
)

// Copies are those of one kind on one Gluster volume. Its methods block as long as GlusterFS does.
type Copies struct {
	*store.Store

	Kind volume.CopyKind
	// Renewed is how often a lease is renewed, Lasts how long it holds without.
	Renewed, Lasts time.Duration
}

// New returns the copies of a kind.
func New(s *store.Store, kind volume.CopyKind) *Copies {
	return &Copies{Store: s, Kind: kind, Renewed: leaseRenewed, Lasts: leaseLasts}
}

// Status is how far a copy is. It outlives the operation that has found it, so it holds nothing open.
type Status struct {
	volume.Copy

	Result *volume.CopyResult // nil until it is complete
}

// home is the directory that has all of a copy.
func (s *Copies) home(st Status) (*safepath.Dir, error) { return s.EnsureShard(string(s.Kind), st.ID) }

// Find returns the copy of an ID; ErrNotFound.
func (s *Copies) Find(id string) (Status, error) {
	st, err := s.find(id)
	return st, s.Explain(err)
}

func (s *Copies) find(id string) (Status, error) {
	shards, err := s.ExistingShards(string(s.Kind), id)
	if err != nil {
		return Status{}, err
	}
	for _, dir := range shards {
		content, err := owndir.Readlink(dir, id+store.RecordSuffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Status{}, err
		}
		c, err := volume.ParseCopy(content)
		if err == nil && (c.ID != id || c.Kind != s.Kind) {
			err = fmt.Errorf("it is of %s/%s: %w", c.Kind, c.ID, volume.ErrCorrupt)
		}
		if err != nil {
			return Status{}, fmt.Errorf("%s: %w", s.PathOf(owndir.File{Dir: dir, Name: id + store.RecordSuffix}), err)
		}
		st := Status{Copy: c}
		st.Result, err = s.resultOf(st)
		return st, err
	}
	return Status{}, fmt.Errorf("%s on %s has no copy %s: %w", s.Kind, s.Volume, id, volume.ErrNotFound)
}

// resultOf is nil for what is not complete.
func (s *Copies) resultOf(st Status) (*volume.CopyResult, error) {
	dir, err := s.home(st)
	if err != nil {
		return nil, err
	}
	content, err := owndir.Readlink(dir, st.Stamp()+doneSuffix)
	if err != nil {
		return nil, volume.IgnoreNotExist(err)
	}
	r, err := volume.ParseCopyResult(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.PathOf(owndir.File{Dir: dir, Name: st.Stamp() + doneSuffix}), err)
	}
	return &r, nil
}

// Claim writes down a copy that is to be made, and returns it, or the one of its ID that there is. It is on disk then.
func (s *Copies) Claim(c volume.Copy) (Status, error) {
	st, err := s.claim(c)
	if err != nil {
		err = s.Explain(fmt.Errorf("write down the copy %s of %s on %s: %w", c.ID, c.Source, s.Volume, err))
	}
	return st, err
}

func (s *Copies) claim(c volume.Copy) (Status, error) {
	if st, err := s.find(c.ID); !errors.Is(err, volume.ErrNotFound) {
		if err == nil {
			err = s.Commit() // perhaps it was killed before that
		}
		return st, err
	}
	content, err := c.Encode()
	if err != nil {
		return Status{}, err
	}
	if _, err := s.EnsureShard(owndir.RemovingDir, c.ID); err != nil { // so that it is there when the Gluster volume is full
		return Status{}, err
	}
	dir, err := s.EnsureShard(string(s.Kind), c.ID)
	if err != nil {
		return Status{}, err
	}
	st := Status{Copy: c}
	if err := s.ClaimLink(dir, content, c.ID+store.RecordSuffix); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			return Status{}, err
		}
		if st, err = s.find(c.ID); err != nil {
			return Status{}, err
		}
	}
	s.Step(stepClaimed)
	return st, s.Commit()
}

// isClaimed says whether the copy was not given up.
func (s *Copies) isClaimed(st Status) (bool, error) {
	dir, err := s.home(st)
	if err != nil {
		return false, err
	}
	content, err := owndir.Readlink(dir, st.ID+store.RecordSuffix)
	if err != nil {
		return false, volume.IgnoreNotExist(err)
	}
	now, err := volume.ParseCopy(content)
	return err == nil && now.Stamp() == st.Stamp(), err
}

// Place is where the tree of a copy is.
func (s *Copies) Place(st Status) (string, error) {
	dir, err := s.home(st)
	if err != nil {
		return "", err
	}
	return s.PathOf(owndir.File{Dir: dir, Name: st.Stamp()}) + "/" + treeName, nil
}

// OpenTree opens the tree of a copy; fs.ErrNotExist.
func (s *Copies) OpenTree(st Status) (*safepath.Dir, error) { return s.open(st, treeName) }

// OpenWork opens the directory that has the manifest of a copy.
func (s *Copies) OpenWork(st Status) (*safepath.Dir, error) { return s.open(st, workName) }

func (s *Copies) open(st Status, name string) (*safepath.Dir, error) {
	at, err := s.openPlace(st)
	if err != nil {
		return nil, err
	}
	defer at.Close()
	return at.Open(name)
}

// MoveTree renames the tree of a copy to a name in another directory.
func (s *Copies) MoveTree(st Status, to owndir.File) error {
	at, err := s.openPlace(st)
	if err != nil {
		return err
	}
	defer at.Close()
	return at.Rename(treeName, to.Dir, to.Name)
}

// openPlace opens the directory of a copy.
func (s *Copies) openPlace(st Status) (*safepath.Dir, error) {
	dir, err := s.home(st)
	if err != nil {
		return nil, err
	}
	return dir.Open(st.Stamp())
}
