// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"slices"
	"strings"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

// List returns at most limit volumes of all Gluster volumes whose IDs sort after the
// given one ("" for the first page), in order, and the ID to go on after, "" at the
// end. Those of other Kubernetes clusters are left out.
func (m *Manager) List(ctx context.Context, after string, limit int) (volumes []Volume, next string, err error) {
	return pageOfAll(m, after, limit, func(v Volume) volume.ID { return v.ID }, func(v gluster.Volume, start string, most int) ([]Volume, error) {
		return m.listOn(ctx, v, start, most, isOwn)
	})
}

// pageOfAll is a page of what there is on all Gluster volumes, as on lists of one at most so many that come after an ID.
func pageOfAll[T any](
	m *Manager, after string, limit int, id func(T) volume.ID, on func(v gluster.Volume, start string, most int) ([]T, error),
) (page []T, next string, err error) {
	clusters, err := m.clusters.Current()
	if err != nil {
		return nil, "", err
	}
	for _, v := range byName(clusters.Volumes()) {
		start, follow := startOn(v, after)
		if !follow {
			continue
		}
		found, err := on(v, start, limit+1-len(page)) // one more than asked for tells whether there is a next page
		if err != nil {
			return nil, "", err
		}
		page = append(page, found...)
		if len(page) > limit {
			return page[:limit], id(page[limit-1]).String(), nil
		}
	}
	return page, "", nil
}

// startOn returns the ID on a Gluster volume after which a page begins there that comes after a CSI ID ("" for its first
// one), and whether IDs of this Gluster volume follow that at all.
func startOn(v gluster.Volume, after string) (start string, follow bool) {
	prefix := v.String() + "/"
	if start, within := strings.CutPrefix(after, prefix); within {
		return start, true
	}
	return "", prefix >= after
}

// isOwn says of a volume whether it is nobody's, or of the Kubernetes cluster that the store's process works for. One
// that knows none takes no volume for another's.
func isOwn(s *lifecycle.Volumes, r volume.Record) bool {
	return s.Kubernetes == "" || !volume.IsOthers(r.Kubernetes, s.Kubernetes)
}

// ListOn returns at most limit volumes of one Gluster volume whose IDs on it sort after the given one, in order; fewer
// at the end. Those of other Kubernetes clusters are among them.
func (m *Manager) ListOn(ctx context.Context, v gluster.Volume, after string, limit int) ([]Volume, error) {
	return m.listOn(ctx, v, after, limit, func(*lifecycle.Volumes, volume.Record) bool { return true })
}

// eachPage calls do with all volumes of one Gluster volume, some hundred at a time, until it fails.
func (m *Manager) eachPage(ctx context.Context, v gluster.Volume, do func([]Volume) error) error {
	const size = 500
	for after := ""; ; {
		page, err := m.ListOn(ctx, v, after, size)
		if err == nil {
			err = do(page)
		}
		if err != nil || len(page) < size {
			return err
		}
		after = page[len(page)-1].ID.ID
	}
}

func (m *Manager) listOn(ctx context.Context, v gluster.Volume, after string, limit int, wanted func(*lifecycle.Volumes, volume.Record) bool) ([]Volume, error) {
	return one(ctx, m, v, "", func(s *lifecycle.Volumes) ([]Volume, error) {
		var volumes []Volume
		for {
			page, err := s.List(after, limit-len(volumes))
			if err != nil {
				return nil, err
			}
			if page.Damaged != nil {
				// One damaged record must not hide all volumes.
				klog.FromContext(ctx).Error(page.Damaged, "Volumes left out of a list", "glusterVolume", v.String())
			}
			for _, r := range page.Records {
				if !wanted(s, r) {
					continue
				}
				volumes = append(volumes, Volume{volume.ID{Volume: v, ID: r.ID}, r})
			}
			if page.Next == "" || len(volumes) == limit {
				return volumes, nil
			}
			after = page.Next
		}
	})
}

// byName sorts Gluster volumes as the IDs on them sort.
func byName(all []gluster.Volume) []gluster.Volume {
	return slices.SortedFunc(slices.Values(all), func(a, b gluster.Volume) int {
		return strings.Compare(a.String()+"/", b.String()+"/")
	})
}

// Used is Volumes.Used of volumes on one Gluster volume.
func (m *Manager) Used(ctx context.Context, v gluster.Volume, all []Volume) (map[string]int64, error) {
	return one(ctx, m, v, "", func(s *lifecycle.Volumes) (map[string]int64, error) {
		records := make([]volume.Record, len(all))
		for i, one := range all {
			records[i] = one.Record
		}
		return s.Used(ctx, records)
	})
}
