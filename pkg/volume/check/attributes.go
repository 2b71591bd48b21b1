// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"maps"
	"slices"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// lookAtAttributes finds those of no volume, and those that cannot be read.
func (s *Checker) lookAtAttributes(ctx context.Context, found *inventory) error {
	files, err := s.Files(owndir.AttributesDir)
	if err != nil {
		return err
	}
	counts := store.Latest(files)
	unknown := map[string]bool{} // whether there is a volume
	for stamp := range counts {
		unknown[stamp] = isUnreadableVolume(found, volume.IDOfStamp(stamp))
	}
	return permits.Each(ctx, s.Permit, slices.Collect(maps.Keys(counts)), func(stamp string) error {
		link, id := counts[stamp], volume.IDOfStamp(stamp)
		_, err := s.ReadAttributes(link)
		if volume.IsUnreadable(err) {
			found.add(unreadableProblem(id, s.PathOf(link.File), err))
			return nil
		}
		if err != nil || found.deleted[stamp] || unknown[stamp] {
			return volume.IgnoreNotExist(err)
		}
		if _, there := found.volumes[stamp]; there {
			return nil
		}
		found.add(Problem{
			Kind: StaleAttributes, Subject: id, Path: s.PathOf(link.File), id: id,
			Why:  "what was changed of a volume of which nothing is left",
			Cure: "remove it", repair: func() error { return s.ForgetAttributesOfNone(stamp) },
		})
		return nil
	})
}
