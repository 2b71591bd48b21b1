// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"math"
)

// settleAttributes removes what a kill, or a server that has forgotten a removal, has left: attributes of an earlier
// generation, and those of volumes of which nothing was left for a while.
func (s *Store) settleAttributes(alone func(id string, do func() error)) error {
	files, err := s.files(attributesDir)
	if err != nil {
		return s.explain(err)
	}
	counts := highest(files)
	seen := map[string]bool{}
	var older []attributesFile
	for _, f := range files {
		if a, ok := parseAttributesFile(f); ok && a.generation < counts[a.stamp].generation {
			older = append(older, a)
		}
	}
	if len(older) > 0 {
		if err := s.commit(); err != nil { // first what counts instead
			return s.explain(err)
		}
	}
	for _, a := range older {
		alone(stampedID(a.stamp), func() error { return ignoreNotExist(a.dir.Unlink(a.name)) })
	}
	for stamp := range counts {
		seen[stamp] = true
		gone, goneErr := s.isGone(stamp)
		if gone && s.isAbandoned(&s.memory.attributes, stamp) {
			alone(stampedID(stamp), func() error { return s.forgetGone(stamp) })
		}
		err = errors.Join(err, goneErr)
	}
	s.memory.attributes.keep(seen)
	return s.explain(err)
}

// forgetGone removes the attributes of a volume of which nothing is left.
func (s *Store) forgetGone(stamp string) error {
	gone, err := s.isGone(stamp)
	if err == nil && !gone {
		err = fmt.Errorf("volume %s on %s is there again: %w", stampedID(stamp), s.volume, ErrBusy)
	}
	if err != nil {
		return err
	}
	id, created, _ := parseStamp(stamp)
	return s.forgetAttributes(Record{ID: id, Created: created}, math.MaxInt64)
}
