// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// State is how far a volume has come, as the file of its record says.
type State int

// The states.
const (
	Absent State = iota
	Begun        // a creation that has not come to its end
	Ready
)

// Lookup is what there is of a volume's record.
type Lookup struct {
	State State
	// Record is whole if it is ready. What has begun may not have been written yet: then it has the ID alone.
	Record volume.Record
	Dir    *safepath.Dir // has the file
}

// Find finds the record of a volume.
func (s *Store) Find(id string) (Lookup, error) {
	shards, err := s.ExistingShards(owndir.VolumesDir, id)
	for _, dir := range shards {
		if err != nil {
			break
		}
		var f Lookup
		if f, err = s.FindIn(dir, id+RecordSuffix); err == nil && f.State != Absent && f.Record.ID != id {
			err = fmt.Errorf("the record of %s on %s names %s: %w", id, s.Volume, f.Record.ID, volume.ErrCorrupt)
		}
		if err == nil && f.State != Absent {
			return f, nil
		}
	}
	return Lookup{}, s.Explain(err)
}

// FindIn reads the file of a record. It was written twice, and got the gfid the second time, so a host that has read it
// before may still have the old bytes in its cache.
func (s *Store) FindIn(dir *safepath.Dir, name string) (Lookup, error) {
	r, err := ReadRecord(dir, name)
	if err == nil && r.GFID == volume.NoGFID || errors.Is(err, ErrUnwritten) {
		r, err = rereadRecord(dir, name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Lookup{}, nil
	case errors.Is(err, ErrUnwritten):
		return Lookup{State: Begun, Record: volume.Record{ID: strings.TrimSuffix(name, RecordSuffix)}, Dir: dir}, nil
	case err != nil:
		return Lookup{}, err
	case r.GFID == volume.NoGFID:
		return Lookup{Begun, r, dir}, nil
	}
	return Lookup{Ready, r, dir}, nil
}

// Get returns the record of a volume that is ready, with what was changed since, or ErrNotFound.
func (s *Store) Get(id string) (volume.Record, error) {
	r, err := s.GetAsMade(id)
	if err != nil {
		return r, err
	}
	return s.Current(r)
}

// GetAsMade is Get without what was changed.
func (s *Store) GetAsMade(id string) (volume.Record, error) {
	f, err := s.Find(id)
	if err == nil && f.State != Ready {
		err = fmt.Errorf("volume %s on %s: %w", id, s.Volume, volume.ErrNotFound)
	}
	return f.Record, err
}

// NewRecord is volume.NewRecord of a volume of this process's Kubernetes cluster.
func (s *Store) NewRecord(spec volume.Spec) volume.Record {
	r := volume.NewRecord(spec)
	r.Kubernetes = s.Kubernetes
	return r
}

// WithOwner is a volume for a message, with whose it is where that is another Kubernetes cluster's.
func (s *Store) WithOwner(id string) string {
	f, err := s.Find(id)
	r := f.Record
	if err == nil && f.State == Ready {
		r, err = s.Current(r)
	}
	if err != nil || !volume.IsOthers(r.Kubernetes, s.Kubernetes) {
		return "volume " + id
	}
	return "volume " + id + " of Kubernetes cluster " + r.Kubernetes
}

// ErrUnwritten says that nothing was written into a record yet, or that the power went before it was on disk.
var ErrUnwritten = fmt.Errorf("it is empty: %w", volume.ErrCorrupt)

// ReadRecord reads a record as it is now, even if another host has just replaced it.
func ReadRecord(dir *safepath.Dir, name string) (volume.Record, error) {
	return owndir.Reread(dir, name, func() (volume.Record, error) {
		data, err := dir.ReadFile(name, maxRecord)
		if err != nil {
			return volume.Record{}, err
		}
		return parseRecord(dir, name, data)
	})
}

// rereadRecord reads a record from the bricks, whatever the kernel has in its cache.
func rereadRecord(dir *safepath.Dir, name string) (volume.Record, error) {
	f, err := dir.OpenFile(name, unix.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return volume.Record{}, err
	}
	defer f.Close()
	data := make([]byte, maxRecord) // one read: what is in it is of one moment
	n, err := f.Read(data)
	if err != nil && !errors.Is(err, io.EOF) {
		return volume.Record{}, err
	}
	return parseRecord(dir, name, data[:n])
}

func parseRecord(dir *safepath.Dir, name string, data []byte) (volume.Record, error) {
	r, err := volume.ParseRecord(data)
	if len(bytes.Trim(data, "\x00")) == 0 {
		err = ErrUnwritten
	}
	if err != nil {
		return volume.Record{}, fmt.Errorf("%s/%s: %w", dir.Name(), name, err)
	}
	return r, nil
}
