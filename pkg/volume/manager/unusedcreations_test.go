// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

func TestWhatIsOnAnotherGlusterVolumeNowIsUnused(t *testing.T) {
	var tried tries
	gv0 := gluster.Volume{Cluster: "pi", Name: "gv0"}
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

// The claim may be deleted before its volume is made: nobody asks for that name again.
func TestACreationThatHasFailedIsForgottenWhenNobodyRepeatsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tried tries
		v := gluster.Volume{Cluster: "pi", Name: "gv0"}
		tried.end("deleted", v, false)
		tried.end("pending", v, false)
		time.Sleep(triesCount)
		tried.end("pending", v, false)
		time.Sleep(triesCount)
		tried.end("new", v, false)
		if names := slices.Sorted(maps.Keys(tried.failed)); !slices.Equal(names, []string{"new", "pending"}) {
			t.Errorf("remembered: %q", names)
		}
	})
}
