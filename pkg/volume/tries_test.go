// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

func TestWhatIsOnAnotherGlusterVolumeNowIsUnused(t *testing.T) {
	var tried tries
	gv1 := gluster.Volume{Cluster: "pi", Name: "gv1"}
	try := func(v gluster.Volume, made bool) {
		tried.begin("pvc", v)
		tried.end("pvc", v, made)
	}
	try(gv0, false)
	try(gv0, false)
	if tried.isUnused("pvc", gv0) {
		t.Error("it is given up before there is another")
	}
	try(gv1, true)
	if !tried.isUnused("pvc", gv0) || tried.isUnused("pvc", gv1) {
		t.Error("the first is not given up, or the second is")
	}
	tried.begin("pvc", gv0)
	if tried.isUnused("pvc", gv0) {
		t.Error("it is given up while it is wanted again")
	}
	try(gv0, true)
	if len(tried.failed) > 0 || len(tried.unused) > 0 {
		t.Errorf("remembered: %+v, %+v", tried.failed, tried.unused)
	}
}

func TestWhatIsUnusedGoesUnlessSomethingIsInIt(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.recent = 0
	for _, name := range []string{"empty", "full"} {
		create(t, s, spec(name))
	}
	cut(open(t, mountpoint), stepMade, func(s *Store) { _, _ = s.Create(spec("half")) })
	must(t, os.WriteFile(filepath.Join(mountpoint, "full", "dear"), nil, 0o600))
	must(t, s.deleteUnused(background, "empty"), s.deleteUnused(background, "half"), s.deleteUnused(background, "never"))
	wants(t, s.deleteUnused(background, "full"), ErrForeign, "another Gluster volume")
	same(t, audit(t, mountpoint), "ready full", "trash empty")
}

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
