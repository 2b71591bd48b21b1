// SPDX-License-Identifier: Apache-2.0

package copying

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ages"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// listed is what the names in the directories of a kind say.
type listed struct {
	claims map[string]bool                   // IDs
	at     map[string]map[string]bool        // stamps of the copies that have a directory, by ID
	done   map[string]map[string]bool        // stamps of those that are complete, by ID
	dirs   map[string]map[*safepath.Dir]bool // where a stamp is
}

func (s *Copies) list() (listed, error) {
	l := listed{map[string]bool{}, map[string]map[string]bool{}, map[string]map[string]bool{}, map[string]map[*safepath.Dir]bool{}}
	files, err := s.Files(string(s.Kind))
	for _, f := range files {
		if id, isClaim := strings.CutSuffix(f.Name, store.RecordSuffix); isClaim {
			l.claims[id] = true
			continue
		}
		stamp, isDone := strings.CutSuffix(f.Name, doneSuffix)
		id, _, isStamp := volume.ParseStamp(stamp)
		if !isStamp {
			continue
		}
		add(l.dirs, stamp, f.Dir)
		if isDone {
			add(l.done, id, stamp)
		} else {
			add(l.at, id, stamp)
		}
	}
	return l, err
}

func add[K comparable, V comparable](to map[K]map[V]bool, key K, value V) {
	if to[key] == nil {
		to[key] = map[V]bool{}
	}
	to[key][value] = true
}

// IDs lists the IDs of all copies, sorted. It reads no record.
func (s *Copies) IDs() ([]string, error) {
	l, err := s.list()
	return slices.Sorted(maps.Keys(l.claims)), s.Explain(err)
}

// Incomplete lists the IDs of the copies that are not complete, sorted. It reads no record.
func (s *Copies) Incomplete() ([]string, error) {
	l, err := s.list()
	var ids []string
	for id := range l.claims {
		isDone := func(stamp string) bool { return l.done[id][stamp] }
		if len(l.done[id]) == 0 || slices.ContainsFunc(slices.Collect(maps.Keys(l.at[id])), func(stamp string) bool { return !isDone(stamp) }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, s.Explain(err)
}

// Read returns those copies that are there, in the order of ids. What of one cannot be read is in damaged.
func (s *Copies) Read(ctx context.Context, ids []string) (found []Status, damaged, err error) {
	all := make([]*Status, len(ids))
	var mu sync.Mutex
	index := make([]int, len(ids))
	for i := range index {
		index[i] = i
	}
	err = permits.Each(ctx, s.Permit, index, func(i int) error {
		st, err := s.Find(ids[i])
		switch {
		case volume.IsUnreadable(err):
			mu.Lock()
			defer mu.Unlock()
			damaged = errors.Join(damaged, err)
		case errors.Is(err, volume.ErrNotFound): // given up meanwhile
		case err != nil:
			return err
		default:
			all[i] = &st
		}
		return nil
	})
	for _, st := range all {
		if st != nil {
			found = append(found, *st)
		}
	}
	return found, damaged, err
}

// Stray is what has the name of a copy and belongs to none.
type Stray struct {
	Stamp    string
	Complete bool // it says that it is
	in       map[*safepath.Dir]bool
}

// Path is where it is on the Gluster volume.
func (s *Copies) Path(x Stray) string {
	for dir := range x.in {
		return s.PathOf(owndir.File{Dir: dir, Name: x.Stamp})
	}
	return ""
}

// Strays are the directories that one who copied has made again, and what a server brings back that has forgotten that
// it went. What is just being given up may be among them. What it does not find is not known any more: see Sightings.
func (s *Copies) Strays(ctx context.Context) ([]Stray, error) {
	l, err := s.list()
	if err != nil {
		return nil, s.Explain(err)
	}
	var found []Stray
	var errs []error
	stray := map[string]bool{}
	for stamp, dirs := range l.dirs {
		if ctx.Err() != nil {
			return found, ctx.Err()
		}
		id := volume.IDOfStamp(stamp)
		st, err := s.find(id)
		if err == nil && st.Stamp() == stamp || err != nil && !errors.Is(err, volume.ErrNotFound) {
			errs = append(errs, err)
			continue
		}
		stray[stamp] = true
		found = append(found, Stray{stamp, l.done[id][stamp], dirs})
	}
	s.Sightings().Keep(stray)
	return found, s.Explain(errors.Join(errs...))
}

// Sightings are since when each call of Strays has found a stamp. A claim that is not to be seen for a moment may be on a
// brick that is away, or be healed in a moment: and two looks an hour apart may both come at such a moment.
func (s *Copies) Sightings() *ages.Sightings {
	if s.Kind == volume.Clones {
		return &s.Memory.StrayClones
	}
	return &s.Memory.StraySnapshots
}

// Settle gives up what belongs to no copy. Each look of an hour must have found it, of a day if it is complete.
func (s *Copies) Settle(ctx context.Context) error {
	strays, err := s.Strays(ctx)
	errs := []error{err}
	for _, x := range strays {
		is := s.IsAbandoned
		if x.Complete {
			is = s.IsLost
		}
		if is(s.Sightings(), x.Stamp) {
			errs = append(errs, s.GiveUpStray(x))
		}
	}
	return errors.Join(errs...)
}

// GiveUpStray is GiveUp for what belongs to no copy.
func (s *Copies) GiveUpStray(x Stray) error {
	removing, err := s.EnsureShard(owndir.RemovingDir, volume.IDOfStamp(x.Stamp))
	errs := []error{err}
	for dir := range x.in {
		if err == nil {
			errs = append(errs, s.moveRest(x.Stamp, dir, removing))
		}
	}
	return s.Explain(errors.Join(errs...))
}
