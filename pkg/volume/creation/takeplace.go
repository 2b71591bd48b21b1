// SPDX-License-Identifier: Apache-2.0

package creation

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Place is what was looked at, and prepared, of a path that is to be claimed. It claims nothing, and is to be taken or
// dropped.
type Place struct {
	id     string
	claim  volume.PathClaim
	link   *owndir.Link
	isFree bool // when it was looked at last
}

// PreparePlace prepares what TakePlace does, and makes nothing but a link that nobody looks up.
func (s *Creations) PreparePlace(id string, h volume.PathClaim) (*Place, error) {
	p := &Place{id: id, claim: h}
	err := s.Both(func(s *store.Store) (err error) {
		p.link, err = s.PreparePath(h)
		return err
	}, func(s *store.Store) error {
		isFree, err := s.IsFree(h.Path)
		p.isFree = isFree && err == nil // what is wrong with the way TakePlace says
		return nil
	})
	return p, err
}

// Drop gives up what was prepared.
func (p *Place) Drop() {
	p.link.Drop()
	p.link = nil
}

// TakePlace makes h the holder of a path at which nothing is, after making the directories on the way to it, and
// returns the holder that there is: h, or another of the same path. ErrForeign where something is that nobody holds,
// ErrNested if it is in a volume, or volumes are in it.
func (s *Creations) TakePlace(id string, h volume.PathClaim) (volume.PathClaim, error) {
	return s.TakePrepared(&Place{id: id, claim: h})
}

// TakePrepared is TakePlace of what was prepared a moment ago.
func (s *Creations) TakePrepared(p *Place) (held volume.PathClaim, err error) {
	err = s.RetryRefreshed(p.claim.Path, func() error {
		held, err = s.tryPlace(p)
		p.isFree = false
		return err
	})
	p.Drop()
	return held, err
}

func (s *Creations) tryPlace(p *Place) (volume.PathClaim, error) {
	h := p.claim
	parent, err := s.MakeParents(h.Path, h.Stamp)
	if err != nil {
		return volume.PathClaim{}, err
	}
	defer parent.Close()
	// First: what is there now was not made by whoever claims the path next.
	absent := p.isFree
	if !absent {
		absent, err = owndir.IsMissing(parent, path.Base(h.Path))
	}
	if err != nil {
		return volume.PathClaim{}, err
	}
	if !absent {
		return s.holderOfPlace(parent, h.Path, p.id)
	}
	link := p.link
	p.link = nil
	held, err := s.ClaimPathBy(link, h)
	switch {
	case err == nil:
		return held, nil
	case errors.Is(err, fs.ErrExist) && held.Parent:
		return volume.PathClaim{}, fmt.Errorf("directory %s on %s is being made to hold volume %s: %w: %w", h.Path, s.Volume, volume.IDOfStamp(held.Stamp), volume.ErrNested, volume.ErrBusy)
	case errors.Is(err, fs.ErrExist):
		return held, nil
	}
	return volume.PathClaim{}, err
}

// holderOfPlace returns the holder of a path at which something is.
func (s *Creations) holderOfPlace(parent *safepath.Dir, p, id string) (volume.PathClaim, error) {
	dir, err := parent.Open(path.Base(p))
	if err != nil {
		return volume.PathClaim{}, volume.NotADirectory(err)
	}
	defer dir.Close()
	held, err := s.WhoHolds(dir, p)
	if err != nil {
		return volume.PathClaim{}, err
	}
	if held.Parent || held.Stamp == "" {
		return volume.PathClaim{}, errors.Join(s.undoUnmarked(id), s.ForeignError(dir, id, ""))
	}
	return held, nil
}

// NewMode is the mode of a volume's directory until its owner is set: nobody else may enter it.
const NewMode = 0o700
