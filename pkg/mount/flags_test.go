// SPDX-License-Identifier: Apache-2.0

package mount

import "testing"

func TestParseFlag(t *testing.T) {
	for _, tc := range []struct {
		option string
		flag   Flags
		known  bool
	}{
		{"ro", ReadOnly, true},
		{"rw", 0, true},
		{"nosuid", NoSuid, true},
		{"nodev", NoDev, true},
		{"noexec", NoExec, true},
		{"noatime", NoAtime, true},
		{"acl", 0, false},
		{"RO", 0, false},
		{"ro,nosuid", 0, false},
		{"", 0, false},
	} {
		if flag, known := ParseFlag(tc.option); flag != tc.flag || known != tc.known {
			t.Errorf("ParseFlag(%q) = %v, %v, want %v, %v", tc.option, flag, known, tc.flag, tc.known)
		}
	}
}

func TestFlagsAreShownAsMountOptions(t *testing.T) {
	for flags, want := range map[Flags]string{
		0:                                  "rw",
		NoSuid:                             "nosuid",
		NoAtime | ReadOnly:                 "ro,noatime",
		ReadOnly | NoSuid | NoDev | NoExec: "ro,nosuid,nodev,noexec",
	} {
		if got := flags.String(); got != want {
			t.Errorf("Flags(%d) is shown as %q, want %q", uint(flags), got, want)
		}
	}
}
