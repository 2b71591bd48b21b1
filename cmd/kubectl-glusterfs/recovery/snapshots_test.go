// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// twoNightlies are two snapshots that were made for one name, the older one first.
func twoNightlies() *Found {
	f := found(volumeOf("pvc-1", "shop", "data"))
	for i, name := range []string{"snapshot-1", "snapshot-2"} {
		f.Snapshots = append(f.Snapshots, answers.Snapshot{
			ID: "pi/gv0/" + name, Name: name, Volume: "pi/gv0/pvc-1", Created: made.Add(time.Duration(i) * time.Hour), Ready: true,
			MadeFor: &answers.SnapshotMadeFor{Namespace: "shop", Name: "nightly"},
		})
	}
	return f
}

// TestOfSeveralSnapshotsOfANameTheNewestGetsIt, and the others get no VolumeSnapshotContent that nobody would name.
func TestOfSeveralSnapshotsOfANameTheNewestGetsIt(t *testing.T) {
	f := twoNightlies()
	for _, when := range []State{Missing, There} {
		p := f.Plan(Wanted{})
		young, old := p.Snapshots[0], p.Snapshots[1]
		if young.Handle != "pi/gv0/snapshot-2" || young.State != when || old.State != Blocked || len(old.Missing) > 0 || !strings.Contains(old.Reason, young.Handle) {
			t.Errorf("%+v, %+v", young, old)
		}
		f.apply(p)
	}
	if len(f.contents) != 1 {
		t.Errorf("%d contents are made", len(f.contents))
	}

	f = twoNightlies() // a name that has the older one keeps it
	f.Snapshots = f.Snapshots[:1]
	f.apply(f.Plan(Wanted{}))
	f.Snapshots = twoNightlies().Snapshots
	if p := f.Plan(Wanted{}); p.Snapshots[0].State != Blocked || p.Snapshots[1].State != There {
		t.Errorf("%+v, %+v", p.Snapshots[0], p.Snapshots[1])
	}

	f = twoNightlies() // whatever is asked for
	young := volumeOf("pvc-2", "mail", "data")
	f.Volumes, f.Snapshots[1].Volume = append(f.Volumes, young), young.ID
	p := f.Plan(Wanted{Namespace: "shop"})
	if len(p.Snapshots) > 0 || !slices.ContainsFunc(p.Notes, func(note string) bool { return strings.Contains(note, "pi/gv0/snapshot-1 (shop/nightly)") }) {
		t.Errorf("%+v, %q", p.Snapshots, p.Notes)
	}
}

// TestAVolumeSnapshotOfAnotherContentIsAnother, though it has the name that the content is for.
func TestAVolumeSnapshotOfAnotherContentIsAnother(t *testing.T) {
	for name, test := range map[string]struct {
		of    map[string]any
		state State
	}{
		"it names this one":                   {map[string]any{"spec": map[string]any{"source": map[string]any{"volumeSnapshotContentName": "snapcontent-1"}}}, There},
		"it is bound to this one":             {map[string]any{"status": map[string]any{"boundVolumeSnapshotContentName": "snapcontent-1"}}, There},
		"it names another":                    {map[string]any{"spec": map[string]any{"source": map[string]any{"volumeSnapshotContentName": "other"}}}, Differs},
		"it is another one of the same claim": {map[string]any{"spec": map[string]any{"source": map[string]any{"persistentVolumeClaimName": "data"}}}, Differs},
	} {
		f := twoNightlies()
		f.Snapshots = f.Snapshots[:1]
		f.apply(f.Plan(Wanted{}))
		f.snapshots["shop/nightly"] = object("VolumeSnapshot", "shop", "nightly", test.of)
		if s := f.Plan(Wanted{}).Snapshots[0]; s.State != test.state || len(s.Missing) > 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestASnapshotIsKeptWhateverItsClassSays: no record knows the deletionPolicy that it had.
func TestASnapshotIsKeptWhateverItsClassSays(t *testing.T) {
	f := twoNightlies()
	f.snapshotClasses = []unstructured.Unstructured{*object("VolumeSnapshotClass", "", "snapshots", map[string]any{"driver": driver, "deletionPolicy": "Delete"})}
	p := f.Plan(Wanted{})
	if s := p.Snapshots[0]; s.Class != "snapshots" || s.Policy != "Retain" {
		t.Errorf("%+v", s)
	}
	if !slices.ContainsFunc(p.Notes, func(note string) bool { return strings.Contains(note, "deletionPolicy") }) {
		t.Errorf("it is not said: %q", p.Notes)
	}
}
