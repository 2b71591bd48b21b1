// SPDX-License-Identifier: Apache-2.0

package doctor

import "testing"

func TestReservedPorts(t *testing.T) {
	for list, want := range map[string]bool{
		"": false, "80": false, "49000": true, "80,49000": true, "48000-49000": true, "49000-49151\n": true, "49001-49151": false, "a-b,49000-": false,
	} {
		if got := isReserved(list, 49000); got != want {
			t.Errorf("%q: %v", list, got)
		}
	}
}

func TestListsOfAddresses(t *testing.T) {
	for list, want := range map[string]bool{
		"": false, "*": true, "10.0.0.7": true, "10.0.0.8": false, "10.0.*": true, "10.1.*,10.0.0.7": true, "10.0.0.0/24": true, "10.1.0.0/24": false,
		"some.host.name": true, // only a server can say
	} {
		if got := isListed(list, "10.0.0.7"); got != want {
			t.Errorf("%q: %v", list, got)
		}
	}
}

func TestKernelReleases(t *testing.T) {
	for release, want := range map[string][2]int{"6.18.44-fc-v657": {6, 18}, "5.4.0-1089-raspi": {5, 4}, "5.10": {5, 10}, "": {0, 0}} {
		if major, minor := versionOf(release); major != want[0] || minor != want[1] {
			t.Errorf("%q: %d.%d", release, major, minor)
		}
	}
}
