// SPDX-License-Identifier: Apache-2.0

package splitbrain

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// What is chosen by size does not notice that the other copy is written to.
func TestACopyIsChosenBySizeOnlyWhereNoTimeTellsItApart(t *testing.T) {
	copyOf := func(changed, modified, size int64) Copy {
		return Copy{Stat: unix.Stat_t{Ctim: unix.Timespec{Sec: changed}, Mtim: unix.Timespec{Sec: modified}, Size: size}}
	}
	other := copyOf(2, 2, 2)
	for _, c := range []struct {
		counts Copy
		want   gluster.Choice
	}{
		{copyOf(3, 3, 3), gluster.ByCtime},
		{copyOf(3, 1, 1), gluster.ByCtime},
		{copyOf(1, 3, 3), gluster.ByMtime},
		{copyOf(2, 3, 1), gluster.ByMtime},
		{copyOf(1, 1, 3), gluster.BySize},
		{copyOf(1, 1, 1), ""},
		{other, ""},
	} {
		for range 50 { // whatever the order of a map
			got, err := choiceOf(File{Copies: []Copy{other, c.counts}}, 1)
			if got != c.want || (c.want == "") != errors.Is(err, volume.ErrInvalid) {
				t.Fatalf("%+v beside %+v: chosen by %q, %v, want %q", c.counts.Stat, other.Stat, got, err, c.want)
			}
		}
	}
}
