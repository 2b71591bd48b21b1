// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"testing"

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
