// SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
)

func TestProgressSaysWhatIsDoneAndWhatIsLeft(t *testing.T) {
	const tenth = gib / 10
	for _, test := range []struct {
		name string
		is   copies.Status
		want string
	}{
		{
			"as the claim's events show it",
			copies.Status{Bytes: 123 * tenth, OfBytes: 400 * tenth, Entries: 30, OfEntries: 40, Written: 123 * tenth, Rate: 45e6},
			"12.3 of 40.0 GiB, 30 of 40 files, 45 MB/s, about 11 min left",
		},
		{"nothing is known of the source", copies.Status{Bytes: 5 << 20, Entries: 3, Written: 5 << 20, Rate: 1e6}, "5.0 MiB, 3 files, 1 MB/s"},
		{"nothing is written yet", copies.Status{OfBytes: 2 * gib, OfEntries: 9}, "0.0 of 2.0 GiB, 0 of 9 files"},
		{"there is more than was known of", copies.Status{Bytes: 3 * gib, OfBytes: 2 * gib, Entries: 9, OfEntries: 8}, "3.0 of 3.0 GiB, 9 of 9 files"},
		{
			"many small files take longer than their bytes",
			copies.Status{Bytes: 1 << 20, OfBytes: 2 << 20, Entries: 1000, OfEntries: 61000, Written: 1 << 20, Rate: 1 << 20},
			"1.0 of 2.0 MiB, 1000 of 61000 files, 1 MB/s, about 1 min left",
		},
		{"hours", copies.Status{Bytes: gib, OfBytes: 1001 * gib, Written: gib, Rate: 50e6}, "1.0 of 1001.0 GiB, 0 files, 50 MB/s, about 6 h left"},
	} {
		if got := progressText(test.is); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
