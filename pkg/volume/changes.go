// SPDX-License-Identifier: Apache-2.0

package volume

// Changes are what of a volume is to be another; what is zero stays as it is.
type Changes struct {
	Owner Owner
	// Recursive has the owner and the group of Owner given to all that is in the volume; not its mode.
	Recursive bool

	OnDelete OnDelete
	Quota    Quota
	// Enforced is what Quota comes to.
	Enforced bool
}

// ApplyTo returns what makes the changes to attributes of a volume that has this record; what is so already is no
// change.
func (c Changes) ApplyTo(r Record) func(*Attributes) error {
	return func(a *Attributes) error {
		now := a.ApplyTo(r)
		if wanted := c.Owner.over(now.Owner); !wanted.equal(now.Owner) {
			a.Owner = &wanted
		}
		if c.OnDelete != "" && c.OnDelete != now.OnDelete {
			a.OnDelete = c.OnDelete
		}
		if c.Quota != "" && (c.Quota != now.Quota || c.Enforced != now.Enforced) {
			a.Quota, a.Enforced = c.Quota, &c.Enforced
		}
		return nil
	}
}
