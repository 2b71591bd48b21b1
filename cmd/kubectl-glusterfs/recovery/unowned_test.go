// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// TestWhatBelongsToNobodyIsAskedFor: a volume of a version before IDs may be another Kubernetes cluster's.
func TestWhatBelongsToNobodyIsAskedFor(t *testing.T) {
	v, own := volumeOf("pvc-1", "shop", "data"), volumeOf("pvc-2", "shop", "data")
	v.Kubernetes, v.Created = "", made.Add(time.Hour)
	f := found(v, own)
	f.Entries = []answers.TrashEntry{{Entry: "pi/gv0/x", Volume: "pi/gv0/pvc-3", MadeFor: v.MadeFor}}
	f.Snapshots = []answers.Snapshot{
		{ID: "pi/gv0/s1", Name: "s1", Volume: v.ID, Ready: true}, {ID: "pi/gv0/s2", Name: "s2", Volume: own.ID, Ready: true},
		{ID: "pi/gv0/s3", Name: "s3", Volume: "pi/gv0/pvc-3", Ready: true},
	}
	p := f.Plan(Wanted{})
	if t0, t1 := p.Volumes[0], p.Volumes[1]; t0.State != Blocked || t0.Reason != "belongs to no Kubernetes cluster" || !strings.Contains(t0.Cure, "--unowned") || t1.State != Missing {
		t.Errorf("%+v, %+v", t0, t1)
	}
	for i, want := range []State{Blocked, Missing, Blocked} {
		if s := p.Snapshots[i]; s.State != want || (want == Blocked) != strings.Contains(s.Cure, "--unowned") {
			t.Errorf("%+v", s)
		}
	}
	if !strings.Contains(p.Notes[0], "belongs to no Kubernetes cluster") {
		t.Errorf("of the trash: %q", p.Notes)
	}

	p = f.Plan(Wanted{Unowned: true})
	if t0, t1 := p.Volumes[0], p.Volumes[1]; t0.State != Missing || t1.State != Blocked || strings.Contains(t1.Cure, "--unowned") {
		t.Errorf("with --unowned: %+v, %+v", t0, t1)
	}
	for _, s := range p.Snapshots {
		if s.State != Missing {
			t.Errorf("with --unowned: %+v", s)
		}
	}
	f.apply(p)
	for _, s := range f.Plan(Wanted{}).Snapshots {
		if s.State != There {
			t.Errorf("then it is %+v", s)
		}
	}
	f = found(v) // and what has a PersistentVolume here is known
	f.apply(f.Plan(Wanted{Unowned: true}))
	if target := one(t, f.Plan(Wanted{})); target.State != There {
		t.Errorf("then it is %+v", target)
	}
}
