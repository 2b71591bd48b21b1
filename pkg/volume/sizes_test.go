// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"testing"
	"time"
)

func TestAVolumeLargerThanItsGlusterVolumeIsRefused(t *testing.T) {
	s, _ := storeOf(t)
	_, total, err := s.Capacity()
	must(t, err)
	var known sizes
	large := spec("large")
	large.Required = total + 1
	wants(t, known.fits(s, large), ErrTooLarge, "add bricks")
	create(t, s, large) // when the Gluster volume was larger
	must(t, known.fits(s, large))
	fits := spec("fits")
	fits.Required = total
	must(t, known.fits(s, fits))
	before := known.known[gv0].since
	must(t, known.fits(s, fits))
	if now := known.known[gv0].since; !now.Equal(before) || time.Since(now) > time.Minute {
		t.Errorf("it asked again after %s", now.Sub(before))
	}
}
