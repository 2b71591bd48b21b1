// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func percentAt(t *testing.T, s *lifecycle.Volumes, path string) (percent int64) {
	t.Helper()
	withLimit(t, s, path, func(dir *quota.Directory) error {
		l, _, err := dir.Limit()
		percent = l.SoftPercent
		return err
	})
	return percent
}

func TestTheHeadroomIsAsItIsSaid(t *testing.T) {
	_, mountpoint := volumes.OnGV0(t)
	s := privilegedStore(t, mountpoint)
	s.Headroom = 256 << 20
	volumes.Create(t, s, limitedSpec("vol"))
	if got := percentAt(t, s, "vol"); got != 75 {
		t.Errorf("of 1 GiB bricks ask from %d %% on, want 75", got)
	}
	// Another one counts for what there is, too.
	s.Headroom = quota.DefaultHeadroom
	if set, err := s.SettleLimits(volumes.Background, volumes.Unlocked); set != 1 || err != nil {
		t.Errorf("set %d limits, %v", set, err)
	}
	if got := percentAt(t, s, "vol"); got != 0 {
		t.Errorf("of 1 GiB bricks ask from %d %% on, want 0", got)
	}
}
