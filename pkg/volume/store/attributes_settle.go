// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"math"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// SettleAttributes removes what a kill, or a server that has forgotten a removal, has left: attributes of an earlier
// generation, and those of volumes of which nothing was left for a while.
func (s *Store) SettleAttributes(alone func(id string, do func() error)) error {
	files, err := s.Files(AttributesDir)
	if err != nil {
		return s.Explain(err)
	}
	counts := Latest(files)
	seen := map[string]bool{}
	var older []AttributesFile
	for _, f := range files {
		if a, ok := parseAttributesFile(f); ok && a.generation < counts[a.stamp].generation {
			older = append(older, a)
		}
	}
	if len(older) > 0 {
		if err := s.Commit(); err != nil { // first what counts instead
			return s.Explain(err)
		}
	}
	for _, a := range older {
		alone(volume.IDOfStamp(a.stamp), func() error { return volume.IgnoreNotExist(a.Dir.Unlink(a.Name)) })
	}
	for stamp := range counts {
		seen[stamp] = true
		gone, goneErr := s.isGivenUp(stamp)
		if gone && s.IsAbandoned(&s.Memory.attributes, stamp) {
			alone(volume.IDOfStamp(stamp), func() error { return s.ForgetAttributesOfNone(stamp) })
		}
		err = errors.Join(err, goneErr)
	}
	s.Memory.attributes.Keep(seen)
	return s.Explain(err)
}

// ForgetAttributesOfNone removes the attributes of a volume of which nothing is left.
func (s *Store) ForgetAttributesOfNone(stamp string) error {
	gone, err := s.isGivenUp(stamp)
	if err == nil && !gone {
		err = fmt.Errorf("volume %s on %s is there again: %w", volume.IDOfStamp(stamp), s.Volume, volume.ErrBusy)
	}
	if err != nil {
		return err
	}
	id, created, _ := volume.ParseStamp(stamp)
	return s.ForgetAttributes(volume.Record{ID: id, Created: created}, math.MaxInt64)
}
