// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// TestAnOlderVolumeIsNeverInPlaceOfTheNewest: what is asked for says which volumes are recovered, not which one is the
// claim's.
func TestAnOlderVolumeIsNeverInPlaceOfTheNewest(t *testing.T) {
	selector, err := labels.Parse("app=data")
	if err != nil {
		t.Fatal(err)
	}
	old, young, other := volumeOf("pvc-1", "shop", "data"), volumeOf("pvc-2", "shop", "data"), volumeOf("pvc-3", "shop", "logs")
	old.Created, other.Created = made.Add(-time.Hour), made.Add(-time.Hour)
	young.MadeFor.Labels, other.MadeFor.Labels = map[string]string{"app": "web"}, map[string]string{"app": "data"}
	for name, wanted := range map[string]Wanted{"--older-than": {Before: made.Add(-time.Minute)}, "-l": {Labels: selector}} {
		p := found(old, young, other).Plan(wanted)
		if target := one(t, p); target.Volume != other.ID || target.State != Missing {
			t.Errorf("%s: %+v", name, target)
		}
		if !slices.ContainsFunc(p.Notes, func(note string) bool { return strings.Contains(note, "pi/gv0/pvc-1 (shop/data)") }) {
			t.Errorf("%s: it is not said: %q", name, p.Notes)
		}
	}
	// of another Kubernetes cluster it is another claim
	young.Kubernetes, young.Others = "test", true
	if p := found(old, young, other).Plan(Wanted{Labels: selector}); len(p.Volumes) != 2 || p.Volumes[0].State != Missing {
		t.Errorf("%+v", p.Volumes[0])
	}
}

// TestAnOlderPersistentVolumeGetsNoClaim, as where a run was interrupted that did not see the newest.
func TestAnOlderPersistentVolumeGetsNoClaim(t *testing.T) {
	old, young := volumeOf("pvc-1", "shop", "data"), volumeOf("pvc-2", "shop", "data")
	young.Created = made.Add(time.Hour)
	f := found(old)
	f.apply(f.Plan(Wanted{}))
	delete(f.Claims, "shop/data")
	f.Volumes = append(f.Volumes, young)
	p := f.Plan(Wanted{})
	if first, second := p.Volumes[0], p.Volumes[1]; first.Volume != young.ID || first.State != Missing || second.State != Blocked || len(second.Missing) > 0 {
		t.Errorf("%+v, %+v", first, second)
	}
}
