// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package provisioned

import (
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestAVolumeLargerThanItsGlusterVolumeIsRefused(t *testing.T) {
	s, _ := volumes.OnGV0(t)
	_, total, err := s.Capacity()
	volumes.Must(t, err)
	var known Sizes
	large := volumes.Spec("large")
	large.Required = total + 1
	volumes.Wants(t, known.Fits(s.Store, large), volume.ErrTooLarge, "add bricks")
	volumes.Create(t, s, large) // when the Gluster volume was larger
	volumes.Must(t, known.Fits(s.Store, large))
	fits := volumes.Spec("fits")
	fits.Required = total
	volumes.Must(t, known.Fits(s.Store, fits))
	before := known.known[volumes.GV0].since
	volumes.Must(t, known.Fits(s.Store, fits))
	if now := known.known[volumes.GV0].since; !now.Equal(before) || time.Since(now) > time.Minute {
		t.Errorf("it asked again after %s", now.Sub(before))
	}
}
