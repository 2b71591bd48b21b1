// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ages"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// A stamp of long ago may be of a moment ago, by a clock that is not known to be right.
func TestWhatWasBegunIsLeftAloneForAWhile(t *testing.T) {
	for name, test := range map[string]struct {
		ago   time.Duration
		right bool
		may   bool // at first sight
	}{
		"just now":                         {0, true, true},
		"long ago":                         {2 * time.Hour, true, false},
		"long ago, by whatever clock":      {2 * time.Hour, false, true},
		"in the future, by whatever clock": {-2 * time.Hour, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Store{Directory: owndir.Directory{Recent: 10 * time.Second, Abandoned: time.Hour}, IsClockRight: func() bool { return test.right }}
				var seen ages.Sightings
				stamp := volume.StampOf("vol", volume.Now().Add(-test.ago))
				if may := s.MayGoOn(&seen, stamp); may != test.may {
					t.Errorf("at first sight: %t", may)
				}
				time.Sleep(s.Recent)
				if s.MayGoOn(&seen, stamp) {
					t.Error("it is left alone for ever")
				}
			})
		})
	}
}
