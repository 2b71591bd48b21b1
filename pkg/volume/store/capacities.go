// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// IDs lists the IDs of all records, of what is being made, too.
func (s *Store) IDs() ([]string, error) {
	files, err := s.Files(VolumesDir)
	var ids []string
	for _, f := range files {
		if id, isRecord := strings.CutSuffix(f.Name, RecordSuffix); isRecord {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), s.Explain(err) // in two places for a moment while the reconciler moves it
}

// Size is what a volume counts with.
type Size struct {
	Bytes    int64 // its capacity
	IsOthers bool  // it is another Kubernetes cluster's
}

// Sizes returns those of the volumes that are ready. What is wrong with one alone is apart from the error.
func (s *Store) Sizes(ctx context.Context, ids []string) (found map[string]Size, unreadable, err error) {
	found = map[string]Size{}
	const size = 256
	var damaged []error
	for some := range slices.Chunk(ids, size) {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		all, errs := make([]volume.Record, len(some)), make([]error, len(some))
		beside(s.Permit, len(some), func(i int) { all[i], errs[i] = s.GetAsMade(some[i]) })
		var page Page
		for i, err := range errs {
			switch {
			case errors.Is(err, volume.ErrNotFound): // being made, or deleted meanwhile
			case volume.IsUnreadable(err):
				damaged = append(damaged, err)
			case err != nil:
				return nil, nil, err
			default:
				page.Records = append(page.Records, all[i])
			}
		}
		if err := s.allCurrent(&page); err != nil {
			return nil, nil, s.Explain(err)
		}
		damaged = append(damaged, page.Damaged)
		for _, r := range page.Records {
			found[r.ID] = Size{r.Capacity, s.Kubernetes != "" && volume.IsOthers(r.Kubernetes, s.Kubernetes)}
		}
	}
	return found, errors.Join(damaged...), nil
}
