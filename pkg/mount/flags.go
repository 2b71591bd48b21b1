// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Flags are the restrictions of one mount: a set of bits, none of which is
// what `rw` means. They belong to the mount, not to the filesystem below it, so
// two binds of one directory may differ.
type Flags uint

// The flags a bind may have.
const (
	ReadOnly Flags = 1 << iota
	NoSuid
	NoDev
	NoExec
	NoAtime
)

// flagNames is in the order in which mount(8) and mountinfo print them.
var flagNames = []struct {
	flag   Flags
	option string
	attr   uint64  // for mount_setattr(2)
	ms     uintptr // for mount(2)
}{
	{ReadOnly, "ro", unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY},
	{NoSuid, "nosuid", unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID},
	{NoDev, "nodev", unix.MOUNT_ATTR_NODEV, unix.MS_NODEV},
	{NoExec, "noexec", unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC},
	{NoAtime, "noatime", unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME},
}

// ParseFlag returns the flag that a mount option names, and whether it names
// one at all: "ro" is ReadOnly, "rw" is no flag but known, "acl" is unknown.
func ParseFlag(option string) (Flags, bool) {
	for _, n := range flagNames {
		if n.option == option {
			return n.flag, true
		}
	}
	return 0, option == "rw"
}

// String returns f as mount options, e.g. "ro,nosuid", and "rw" for none.
func (f Flags) String() string {
	if options := f.options(); len(options) > 0 {
		return strings.Join(options, ",")
	}
	return "rw"
}

func (f Flags) options() []string {
	var options []string
	for _, n := range flagNames {
		if f&n.flag != 0 {
			options = append(options, n.option)
		}
	}
	return options
}

// setattr returns what mount_setattr(2) needs to add f to a mount and to keep
// every other restriction that the mount has.
func (f Flags) setattr() unix.MountAttr {
	var attr unix.MountAttr
	for _, n := range flagNames {
		if f&n.flag != 0 {
			attr.Attr_set |= n.attr
		}
	}
	if f&NoAtime != 0 {
		// The atime modes are a number, not bits: mount_setattr(2) refuses a new
		// one unless the whole field is cleared in the same call.
		attr.Attr_clr |= unix.MOUNT_ATTR__ATIME
	}
	return attr
}
