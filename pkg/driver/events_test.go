// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"slices"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/events"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/health"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// TestAnOutageIsOverWhenNothingAsBadIsThere: where quorum is lost as well, the brick that was lost first is named no
// more, and is not back; and each that was told is over in the end.
func TestAnOutageIsOverWhenNothingAsBadIsThere(t *testing.T) {
	var told []string
	teller := healthTeller{open: map[gluster.Volume]map[string]bool{}, tell: func(v gluster.Volume, e events.Event) {
		told = append(told, v.String()+" "+e.Reason)
	}}
	report := func(v string, codes ...string) health.Report {
		r := health.Report{Volume: gluster.Volume{Cluster: "pi", Name: v}}
		for _, code := range codes {
			r.Reasons = append(r.Reasons, health.Reason{State: health.Inaccessible, Code: code, Message: code})
		}
		return r
	}
	for _, step := range []struct {
		now  health.Report
		want []string
	}{
		{report("gv0", health.ProbeTimeout), nil},
		{report("gv0", health.BrickUnreachable), []string{"pi/gv0 BrickUnreachable"}},
		{report("gv0", health.QuorumLost), []string{"pi/gv0 QuorumLost"}},
		{report("gv1", health.BrickUnreachable), []string{"pi/gv1 BrickUnreachable"}},
		{report("gv0", health.ClusterUnreachable), []string{"pi/gv0 ClusterUnreachable"}},
		{report("gv0", health.QuorumLost), []string{"pi/gv0 ClusterReachable", "pi/gv0 QuorumLost"}},
		{report("gv0", health.BrickUnreachable), []string{"pi/gv0 QuorumRegained", "pi/gv0 BrickUnreachable"}},
		{report("gv0", health.QuorumLost), []string{"pi/gv0 QuorumLost"}},
		{report("gv0"), []string{"pi/gv0 QuorumRegained", "pi/gv0 BrickReachable"}},
		{report("gv0"), nil},
		{report("gv1"), []string{"pi/gv1 BrickReachable"}},
	} {
		told = nil
		if teller.changed(health.Report{}, step.now); !slices.Equal(told, step.want) {
			t.Errorf("%+v: told %v, want %v", step.now, told, step.want)
		}
	}
}

func TestWhatANodeReportsIsToldOnce(t *testing.T) {
	var told []string
	teller := &podTeller{told: map[gluster.Volume]map[string][]store.Pod{}, tell: func(v gluster.Volume, p store.Pod, e events.Event) {
		told = append(told, v.Name+" "+p.UID+" "+e.Reason+" "+e.Message)
	}}
	v, other := gluster.Volume{Cluster: "pi", Name: "gv0"}, gluster.Volume{Cluster: "pi", Name: "gv1"}
	one, two := store.Pod{UID: "1", Code: "Dead", Message: "m"}, store.Pod{UID: "2", Code: "Dead", Message: "m"}
	changed := store.Pod{UID: "1", Code: "Dead", Message: "n"}
	for _, step := range []struct {
		v       gluster.Volume
		reports []store.Report
		want    []string
		part    bool
	}{
		{v, nil, nil, false},
		{v, []store.Report{{Node: "a", Pods: []store.Pod{one}}}, []string{"gv0 1 Dead m"}, false},
		{v, []store.Report{{Node: "a", Pods: []store.Pod{one}}, {Node: "b", Pods: []store.Pod{two}}}, []string{"gv0 2 Dead m"}, false},
		{v, nil, nil, true}, // the others were not read
		{v, []store.Report{{Node: "b", Pods: []store.Pod{two}}}, nil, true},
		{v, []store.Report{{Node: "a", Pods: []store.Pod{one}}, {Node: "b", Pods: []store.Pod{two}}}, nil, false},
		{other, []store.Report{{Node: "a", Pods: []store.Pod{one}}}, []string{"gv1 1 Dead m"}, false},
		{v, []store.Report{{Node: "a", Pods: []store.Pod{changed}}, {Node: "b", Pods: []store.Pod{two}}}, []string{"gv0 1 Dead n"}, false},
		{v, []store.Report{{Node: "b", Pods: []store.Pod{two}}}, nil, false},
		{v, []store.Report{{Node: "a", Pods: []store.Pod{changed}}}, []string{"gv0 1 Dead n"}, false},
	} {
		told = nil
		if teller.tellNew(step.v, step.reports, !step.part); !slices.Equal(told, step.want) {
			t.Errorf("%+v: told %v, want %v", step.reports, told, step.want)
		}
	}
}
