// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
	"strconv"
)

// Mode is the permission bits of a directory, setgid and sticky among them. Its
// text is octal, as in chmod(1).
type Mode uint32

// DefaultMode lets the group write and others do nothing, so uid 1001 gid 0 can
// write even where a class names no owner.
const DefaultMode Mode = 0o2770

// ParseMode reads octal digits, 0 to 7777, that leave the owner rwx: the driver and
// kubelet must be able to enter a volume.
func ParseMode(s string) (Mode, error) {
	bits, err := strconv.ParseUint(s, 8, 32)
	switch {
	case err != nil || len(s) > 5 || bits > 0o7777:
		return 0, fmt.Errorf("%q is not an octal mode between 0700 and 7777", s)
	case bits&0o4000 != 0:
		return 0, fmt.Errorf("mode %q has the setuid bit, which means nothing on a directory", s)
	case bits&0o700 != 0o700:
		return 0, fmt.Errorf("mode %q keeps the owner out of the directory: 07xx is needed", s)
	}
	return Mode(bits), nil
}

// String is the mode in four octal digits.
func (m Mode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// MarshalText makes a Mode octal in JSON.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (m *Mode) UnmarshalText(text []byte) error {
	mode, err := ParseMode(string(text))
	*m = mode
	return err
}

// Owner says to whom a volume's directory belongs. What was not asked for by name is
// nil: it has its default at creation and is the application's to change later.
type Owner struct {
	UID  *uint32 `json:"uid,omitempty"`
	GID  *uint32 `json:"gid,omitempty"`
	Mode *Mode   `json:"mode,omitempty"`
}

func (o Owner) equal(p Owner) bool {
	return equal(o.UID, p.UID) && equal(o.GID, p.GID) && equal(o.Mode, p.Mode)
}

func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// OnDelete is what becomes of the data of a deleted volume.
type OnDelete string

// The choices; the first is the default.
const (
	Trash  OnDelete = "trash"  // kept in the trash until its time is up
	Delete OnDelete = "delete" // removed as soon as the reaper comes round
	Retain OnDelete = "retain" // left where it is, no longer the driver's
)

// ParseOnDelete reads one of the choices.
func ParseOnDelete(s string) (OnDelete, error) {
	switch choice := OnDelete(s); choice {
	case Trash, Delete, Retain:
		return choice, nil
	}
	return "", fmt.Errorf("%q is none of %s, %s, %s", s, Trash, Delete, Retain)
}

// Spec is a volume as asked for.
type Spec struct {
	// Name is the CSI name, which makes creation idempotent.
	Name string
	// Path is the directory, relative to the Gluster volume's root, as safepath.Check
	// wants it and outside the driver's own directory.
	Path string
	// Required and Limit bound the capacity in bytes; 0 is no bound.
	Required, Limit int64
	Owner           Owner
	OnDelete        OnDelete
	Quota           Quota
	// Enforced is whether the directory is to be held to the capacity: what Quota comes to where the volume is made.
	Enforced bool
	MadeFor  *MadeFor // nil: unknown
	Source   *Source  // nil: it is to be empty
}

// over returns p with what o has by name.
func (o Owner) over(p Owner) Owner {
	if o.UID != nil {
		p.UID = o.UID
	}
	if o.GID != nil {
		p.GID = o.GID
	}
	if o.Mode != nil {
		p.Mode = o.Mode
	}
	return p
}

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
