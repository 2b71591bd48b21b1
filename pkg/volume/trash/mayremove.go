// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// mayRemove returns nil if the data of an entry is the volume's own and nobody else's, or gone. ErrBusy where it went
// meanwhile, or the kernel knew another directory of that name.
func (s *Trash) mayRemove(e store.TrashEntry) error {
	data, err := e.Dir.Open(e.Base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer data.Close()
		err = s.CheckIdentity(data, e.Record)
	}
	if err == nil {
		err = s.isDeletedAlone(data, e)
	}
	if err != nil && volume.IgnoreNotExist(err) == nil {
		err = fmt.Errorf("%w: %w", err, volume.ErrBusy)
	}
	return err
}

// isDeletedAlone returns nil if the data of a trash entry is no volume's that is there, and in the trash on every
// brick.
func (s *Trash) isDeletedAlone(data *safepath.Dir, e store.TrashEntry) error {
	gfid, err := store.GFIDOf(data)
	if err != nil {
		return err
	}
	id, err := s.volumeWith(gfid, e.Record)
	if err != nil {
		return err
	}
	if id != "" {
		// A brick that was away when it was deleted, or restored, tells of the time before until it has healed.
		return fmt.Errorf("trash entry %s on %s is the directory of volume %s, which is there: %w; if a brick has just come back, wait until nothing is left to heal (`gluster volume heal %s info`); see `glusterfs-csi volume check`",
			e.Name, s.Volume, id, volume.ErrForeign, s.Volume.Name)
	}
	return s.isOnAllBricks(data, e)
}

// isOnAllBricks returns nil if every brick has the data of a trash entry in the trash.
func (s *Trash) isOnAllBricks(data *safepath.Dir, e store.TrashEntry) error {
	at, err := s.PlaceOfFile(owndir.File{Dir: e.Dir, Name: e.Base})
	if err != nil {
		return err
	}
	return s.CheckOneName(data, at)
}

// liveFor is for how long the list of the gfids of all volumes counts. A directory that is taken out of the trash and
// becomes another volume's meanwhile is not in the trash any more, on one brick at least, and the bricks say so.
const liveFor = time.Hour

// live are the IDs of the volumes that are there by their gfids, as of a moment ago.
type live struct {
	mu   sync.Mutex
	read time.Time
	ids  map[string][]string
}

// volumeWith returns the ID of a volume that is there and has the directory with this gfid: the one of a deleted
// record, or any other; "" if none has. One that is being made is not looked for: its directory is new, so no entry has
// its gfid; one that is restored has an entry that is nobody else's; and a directory that has another name than the
// entry's is refused whoever has it (isOnAllBricks).
func (s *Trash) volumeWith(gfid string, deleted volume.Record) (string, error) {
	if ready, err := s.IsReady(deleted); ready || err != nil {
		return deleted.ID, err
	}
	ids, err := s.liveIDs(gfid)
	if err != nil {
		return "", err
	}
	for _, id := range append(ids, deleted.ID) {
		if has, err := s.HasGFID(id, gfid); err != nil || has {
			return id, err
		}
	}
	return "", nil
}

// liveIDs reads the records of all volumes at most once in liveFor. Those that cannot be read are left out.
func (s *Trash) liveIDs(gfid string) ([]string, error) {
	l := &s.remembered.live
	// Who reads the list gives way to others, who must not wait for it with what they got:
	// TestManyDeletionsOfWhatIsDeletedEnd.
	s.Permit.Without(l.mu.Lock)
	defer l.mu.Unlock()
	if l.read.IsZero() || time.Since(l.read) > liveFor {
		began, ids := time.Now(), map[string][]string{}
		for after := ""; ; {
			page, err := s.List(after, maxLivePage)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Records {
				have, err := s.RecordedGFID(r)
				if err != nil {
					return nil, err
				}
				ids[have] = append(ids[have], r.ID)
			}
			if after = page.Next; after == "" {
				break
			}
		}
		l.read, l.ids = began, ids
	}
	return l.ids[gfid], nil
}

// maxLivePage is how many records liveIDs reads at a time.
const maxLivePage = 1000
