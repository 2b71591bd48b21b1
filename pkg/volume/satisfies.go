// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
)

// Satisfies returns an ErrIncompatible naming the first property of the volume that
// is not what spec asks for.
func (r Record) Satisfies(spec Spec) error {
	differs := func(what string, have, want any) error {
		return fmt.Errorf("volume %q %w: %s is %v, not %v", spec.Name, ErrIncompatible, what, have, want)
	}
	switch {
	case r.Name != spec.Name:
		return differs("its name", r.Name, spec.Name)
	case r.Path != spec.Path:
		return differs("its path", r.Path, spec.Path)
	case r.Capacity < spec.Required:
		return differs("its capacity in bytes", r.Capacity, fmt.Sprintf("at least %d", spec.Required))
	case spec.Limit > 0 && r.Capacity > spec.Limit:
		return differs("its capacity in bytes", r.Capacity, fmt.Sprintf("at most %d", spec.Limit))
	case r.OnDelete != spec.OnDelete:
		return differs("onDelete", r.OnDelete, spec.OnDelete)
	case r.Quota.OrAuto() != spec.Quota.OrAuto():
		return differs("quota", r.Quota.OrAuto(), spec.Quota.OrAuto())
	case !equal(r.Source, spec.Source):
		return differs("what it was made from", fromWhat(r.Source), fromWhat(spec.Source))
	case !r.Owner.equal(spec.Owner):
		return differs("its owner", r.Owner, spec.Owner)
	}
	return nil
}

func fromWhat(s *Source) string {
	if s == nil {
		return "nothing"
	}
	return s.String()
}
