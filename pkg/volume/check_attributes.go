// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"maps"
	"slices"
)

// lookAtAttributes finds those of no volume, and those that cannot be read.
func (s *Store) lookAtAttributes(ctx context.Context, found *inventory) error {
	files, err := s.files(attributesDir)
	if err != nil {
		return err
	}
	counts := highest(files)
	unknown := map[string]bool{} // whether there is a volume
	for stamp := range counts {
		unknown[stamp] = isUnreadableVolume(found, stampedID(stamp))
	}
	return each(ctx, s.permit, slices.Collect(maps.Keys(counts)), func(stamp string) error {
		link, id := counts[stamp], stampedID(stamp)
		_, err := s.readAttributes(link)
		if isUnreadable(err) {
			found.add(unreadable(id, s.pathOf(link.file), err))
			return nil
		}
		if err != nil || found.deleted[stamp] || unknown[stamp] {
			return ignoreNotExist(err)
		}
		if _, there := found.volumes[stamp]; there {
			return nil
		}
		found.add(Problem{
			Kind: StaleAttributes, Subject: id, Path: s.pathOf(link.file), id: id,
			Why:  "what was changed of a volume of which nothing is left",
			Cure: "remove it", repair: func() error { return s.forgetGone(stamp) },
		})
		return nil
	})
}
