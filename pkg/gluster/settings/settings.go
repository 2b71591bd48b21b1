// SPDX-License-Identifier: Apache-2.0

// Package settings knows what a Gluster volume is set to, as far as that forbids what the driver does, or bends it: by
// what its servers say of its bricks, so nothing on it is touched.
package settings

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
)

// Restriction is an option of a Gluster volume that forbids what the driver does.
type Restriction struct {
	Code    string // of the reason that health gives
	Option  string // as `gluster volume set` names it
	Value   string // as it is set
	Forbids string // what cannot be done

	translator string // that has it in a brick's volfile, by the last part of its name
}

// restrictions are all that there may be, the one that forbids most first.
var restrictions = []Restriction{
	{
		Code: "RootSquash", Option: "server.root-squash", translator: "protocol/server",
		Forbids: "the driver can neither read its records nor give volumes their owners, and root in pods is nobody",
	},
	{
		Code: "ReadOnly", Option: "features.read-only", translator: "features/read-only",
		Forbids: "nothing can be written",
	},
	{
		Code: "Worm", Option: "features.worm", translator: "features/worm",
		Forbids: "what was written can be neither changed nor renamed nor deleted, so volumes cannot be made or deleted",
	},
}

// Cure is what lifts it, to be run on one of the servers.
func (r Restriction) Cure(v gluster.Volume) string {
	return fmt.Sprintf("gluster volume set %s %s off", v.Name, r.Option)
}

// Says is what is wrong, and the cure.
func (r Restriction) Says(v gluster.Volume) string {
	return fmt.Sprintf("%s of %s is %s: %s; on one of its servers run `%s`", r.Option, v, r.Value, r.Forbids, r.Cure(v))
}

// Settings are those of one Gluster volume. The zero value is in nobody's way.
type Settings struct {
	Restrictions []Restriction
	Modes        Modes
}

// Modes are what the bricks make of the mode that a directory is to have.
type Modes struct {
	Cleared uint32 // bits that no directory has (storage.create-directory-mask)
	Forced  uint32 // bits that each has (storage.force-directory-mode)
}

// Of is the mode that a directory gets where this one is asked for. The set-ID and sticky bits stay.
func (m Modes) Of(mode uint32) uint32 { return mode&^m.Cleared | m.Forced }

// Options names those that bend modes, as they are set: "" where none does.
func (m Modes) Options() string {
	var all []string
	if m.Cleared != 0 {
		all = append(all, fmt.Sprintf("storage.create-directory-mask %04o", allBits&^m.Cleared))
	}
	if m.Forced != 0 {
		all = append(all, fmt.Sprintf("storage.force-directory-mode %04o", m.Forced))
	}
	return strings.Join(all, " and ")
}

// Check returns an ErrRestricted that says which options are in the driver's way, or nil.
func (s Settings) Check(v gluster.Volume) error {
	if len(s.Restrictions) == 0 {
		return nil
	}
	var all []string
	for _, r := range s.Restrictions {
		all = append(all, r.Says(v))
	}
	return fmt.Errorf("%w: %s", gluster.ErrRestricted, strings.Join(all, "; "))
}

// allBits are those that an option may force or clear.
const allBits = 0o777

// Of reads the volfile of a brick. What it does not know, and what is not a mode, it takes for not set.
func Of(brick glusterd.Volfile) Settings {
	var s Settings
	for _, r := range restrictions {
		t, _ := brick.First(r.translator)
		_, key, _ := strings.Cut(r.Option, ".")
		if r.Value = t.Options[key]; t.IsOn(key) {
			s.Restrictions = append(s.Restrictions, r)
		}
	}
	posix, _ := brick.First("storage/posix")
	s.Modes.Cleared = allBits &^ bits(posix.Options["create-directory-mask"], allBits)
	s.Modes.Forced = bits(posix.Options["force-directory-mode"], 0)
	return s
}

// bits are those of an octal number.
func bits(value string, preset uint32) uint32 {
	n, err := strconv.ParseUint(value, 8, 32)
	if err != nil {
		return preset
	}
	return uint32(n) & allBits
}
