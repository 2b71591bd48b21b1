// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
)

// Quota is whether a volume ends at its capacity.
type Quota string

// The choices; the first is the default.
const (
	QuotaAuto     Quota = "auto"     // where quota is on for the Gluster volume when the volume is made
	QuotaEnforced Quota = "enforced" // or there is no volume
	QuotaNone     Quota = "none"
)

// ParseQuota reads one of the choices.
func ParseQuota(s string) (Quota, error) {
	switch choice := Quota(s); choice {
	case QuotaAuto, QuotaEnforced, QuotaNone:
		return choice, nil
	}
	return "", fmt.Errorf("%q is none of %s, %s, %s", s, QuotaAuto, QuotaEnforced, QuotaNone)
}

// OrAuto is what was asked for where a record says nothing, as those of drivers that had no quota.
func (q Quota) OrAuto() Quota {
	if q == "" {
		return QuotaAuto
	}
	return q
}
