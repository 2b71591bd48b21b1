// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

const driver = "glusterfs.csi.gluster.org"

// made is when the volumes of these tests were made.
var made = time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)

// volumeOf is one that was made for a claim.
func volumeOf(name, namespace, claim string) answers.Volume {
	return answers.Volume{
		ID: "pi/gv0/" + name, Name: name, Path: name, Capacity: 1 << 30, Created: made, Kubernetes: "this", Attributes: map[string]string{"path": name},
		MadeFor: &answers.MadeFor{
			Namespace: namespace, Claim: claim, AccessModes: []string{"ReadWriteMany", "ReadWriteOnce"}, MountOptions: []string{"noatime"},
			Parameters: map[string]string{"uid": "1001"}, Class: "glusterfs", Labels: map[string]string{"app": claim},
		},
	}
}

// found is a cluster with the driver's class and nothing else, and these volumes.
func found(all ...answers.Volume) *Found {
	f := &Found{
		Cluster: objects.Cluster{Driver: driver, Claims: map[string]*unstructured.Unstructured{}, Namespaces: map[string]*unstructured.Unstructured{}},
		Volumes: all, snapshots: map[string]*unstructured.Unstructured{}, hasSnapshotKinds: true,
	}
	f.Classes = []unstructured.Unstructured{*object("StorageClass", "", "glusterfs", map[string]any{
		"provisioner": driver, "parameters": map[string]any{"uid": "1001"}, "mountOptions": []any{"noatime"}, "reclaimPolicy": "Delete",
	})}
	return f
}

func object(kind, namespace, name string, content map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: content}
	u.SetKind(kind)
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

// apply makes in f what is planned, as an API server would.
func (f *Found) apply(p *Plan) {
	for _, t := range p.Volumes {
		for _, kind := range t.Missing {
			switch kind {
			case namespaceKind:
				f.Namespaces[t.Namespace] = object("Namespace", "", t.Namespace, map[string]any{})
			case volumeKind:
				f.PVs = append(f.PVs, *t.wanted.PersistentVolume())
			case claimKind:
				f.Claims[t.String()] = t.wanted.ClaimOf(f.pvOf(t.Volume))
			}
		}
	}
	for _, s := range p.Snapshots {
		for _, kind := range s.Missing {
			switch kind {
			case contentKind:
				f.contents = append(f.contents, *s.contentObject(driver))
			case snapshotKind:
				f.snapshots[s.String()] = s.object()
			}
		}
	}
}

// one is the only volume of a plan.
func one(t *testing.T, p *Plan) *Target {
	t.Helper()
	if len(p.Volumes) != 1 {
		t.Fatalf("%d volumes are planned", len(p.Volumes))
	}
	return p.Volumes[0]
}

func TestWhatIsMissingIsPlannedAndThenThere(t *testing.T) {
	f := found(volumeOf("pvc-1", "shop", "data"))
	f.Snapshots = []answers.Snapshot{{ID: "pi/gv0/snapshot-7", Name: "snapshot-7", Volume: "pi/gv0/pvc-1", Ready: true}}
	p := f.Plan(Wanted{})
	target := one(t, p)
	if target.State != Missing || !slices.Equal(target.Missing, []string{namespaceKind, volumeKind, claimKind}) || target.Class != "glusterfs" || target.Policy != "Delete" || p.IsLeft() {
		t.Fatalf("%+v", target)
	}
	pv := target.wanted.PersistentVolume()
	claim := target.wanted.ClaimOf(pv)
	for want, got := range map[string]string{
		"pi/gv0/pvc-1": objects.Text(pv, "spec", "csi", "volumeHandle"), "1Gi": objects.Text(claim, "spec", "resources", "requests", "storage"),
		"data": claim.GetLabels()["app"], "pvc-1": objects.Text(claim, "spec", "volumeName"), "shop": objects.Text(pv, "spec", "claimRef", "namespace"),
		driver: pv.GetAnnotations()["pv.kubernetes.io/provisioned-by"],
	} {
		if got != want {
			t.Errorf("it has %q, not %q", got, want)
		}
	}
	if len(p.Snapshots) != 1 || p.Snapshots[0].String() != "shop/snapshot-7" || p.Snapshots[0].Content != "snapcontent-7" || p.Snapshots[0].Policy != "Retain" {
		t.Fatalf("%+v", p.Snapshots)
	}
	if !slices.Equal(p.Namespaces, []string{"shop"}) {
		t.Errorf("namespaces %q are to be made", p.Namespaces)
	}
	f.apply(p)
	again := f.Plan(Wanted{})
	if s := again.Snapshots[0]; one(t, again).State != There || s.State != There || len(s.Missing) > 0 || again.IsLeft() {
		t.Errorf("then it is %+v, and the snapshot %+v", one(t, again), s)
	}
}

func TestWhatIsThereAndDiffersIsSaidAndLeft(t *testing.T) {
	for name, test := range map[string]struct {
		change func(f *Found)
		state  State
		reason string
	}{
		"another size": {func(f *Found) {
			_ = unstructured.SetNestedField(f.PVs[0].Object, "2Gi", "spec", "capacity", "storage")
		}, Differs, "its capacity is 2Gi, not 1Gi"},
		"other access modes": {func(f *Found) {
			_ = unstructured.SetNestedStringSlice(f.PVs[0].Object, []string{"ReadWriteMany"}, "spec", "accessModes")
		}, Differs, "access modes are [ReadWriteMany]"},
		"access modes in another order": {func(f *Found) {
			_ = unstructured.SetNestedStringSlice(f.PVs[0].Object, []string{"ReadWriteOnce", "ReadWriteMany"}, "spec", "accessModes")
		}, There, ""},
		"other mount options": {func(f *Found) { unstructured.RemoveNestedField(f.PVs[0].Object, "spec", "mountOptions") }, Differs, "mount options are []"},
		"another directory": {func(f *Found) {
			_ = unstructured.SetNestedField(f.PVs[0].Object, "pvc-2", "spec", "csi", "volumeAttributes", "path")
		}, Differs, "volumeAttribute path is pvc-2, not pvc-1"},
		"another class": {func(f *Found) { _ = unstructured.SetNestedField(f.PVs[0].Object, "slow", "spec", "storageClassName") }, There, ""},
		"the volume is for another claim": {func(f *Found) {
			_ = unstructured.SetNestedField(f.PVs[0].Object, "other", "spec", "claimRef", "name")
		}, Differs, "is for the claim shop/other"},
		"the volume is for no claim": {func(f *Found) { unstructured.RemoveNestedField(f.PVs[0].Object, "spec", "claimRef") }, Differs, "is for no claim"},
		"the claim has another volume": {func(f *Found) {
			_ = unstructured.SetNestedField(f.Claims["shop/data"].Object, "pvc-9", "spec", "volumeName")
		}, Differs, "with another volume (pvc-9)"},
		"the claim was deleted here": {func(f *Found) {
			delete(f.Claims, "shop/data")
			_ = unstructured.SetNestedField(f.PVs[0].Object, "u-1", "spec", "claimRef", "uid")
		}, Blocked, "was deleted in this cluster"},
		"the name of the volume is taken": {func(f *Found) {
			_ = unstructured.SetNestedField(f.PVs[0].Object, "elsewhere", "spec", "csi", "volumeHandle")
			delete(f.Claims, "shop/data")
		}, Differs, "PersistentVolume pvc-1 is of another volume"},
		"a claim that waits for another volume": {func(f *Found) {
			f.PVs = nil
			unstructured.RemoveNestedField(f.Claims["shop/data"].Object, "spec", "volumeName")
		}, Differs, "(none yet)"},
	} {
		t.Run(name, func(t *testing.T) {
			f := found(volumeOf("pvc-1", "shop", "data"))
			f.apply(f.Plan(Wanted{}))
			test.change(f)
			p := f.Plan(Wanted{})
			target := one(t, p)
			if target.State != test.state || !strings.Contains(target.Reason, test.reason) || len(target.Missing) > 0 || p.IsLeft() != (test.state != There) {
				t.Errorf("it is %+v", target)
			}
		})
	}
}

// TestOnlyWhatLacksIsMade: an interrupted run is gone on with.
func TestOnlyWhatLacksIsMade(t *testing.T) {
	f := found(volumeOf("pvc-1", "shop", "data"))
	f.apply(f.Plan(Wanted{}))
	delete(f.Claims, "shop/data")
	if target := one(t, f.Plan(Wanted{})); !slices.Equal(target.Missing, []string{claimKind}) {
		t.Errorf("without its claim: %+v", target)
	}
	f.apply(f.Plan(Wanted{}))
	f.Claims["shop/data"].SetUID("u-1")
	f.PVs = nil // somebody has removed it by force
	target := one(t, f.Plan(Wanted{}))
	if !slices.Equal(target.Missing, []string{volumeKind, policyKind}) || target.wanted.ClaimUID != "u-1" || target.Class != "glusterfs" {
		t.Errorf("without its PersistentVolume: %+v", target)
	}
}

// TestAClaimWithoutItsClassIsNotMade: nobody can change the class of a claim afterwards.
func TestAClaimWithoutItsClassIsNotMade(t *testing.T) {
	f := found(volumeOf("pvc-1", "shop", "data"))
	f.Classes[0].SetName("alike") // which says the same, and may not be what somebody has decided on
	if target := one(t, f.Plan(Wanted{})); target.State != Blocked || !strings.Contains(target.Reason, "no StorageClass glusterfs") || !strings.Contains(target.Cure, "--storage-class") {
		t.Errorf("%+v", target)
	}
	none := ""
	if target := one(t, f.Plan(Wanted{Class: &none})); target.State != Missing || target.Class != "" || target.Policy != "Retain" {
		t.Errorf("with none, as was said: %+v", target)
	}
	other := "other"
	if target := one(t, f.Plan(Wanted{Class: &other})); target.State != Blocked || !strings.Contains(target.Reason, "no StorageClass other") {
		t.Errorf("with one that is not there: %+v", target)
	}
}

func TestOfSeveralVolumesOfAClaimTheNewestIsTheOne(t *testing.T) {
	old, young := volumeOf("pvc-1", "shop", "data"), volumeOf("pvc-2", "shop", "data")
	young.Created = made.Add(time.Hour)
	f := found(old, young)
	p := f.Plan(Wanted{})
	if p.Volumes[0].Volume != young.ID || p.Volumes[0].State != Missing || p.Volumes[1].State != Blocked || !strings.Contains(p.Volumes[1].Cure, "--entry "+old.ID) {
		t.Errorf("%+v, %+v", p.Volumes[0], p.Volumes[1])
	}
	f = found(old)
	f.apply(f.Plan(Wanted{}))
	f.Volumes = append(f.Volumes, young) // a claim that is bound keeps what it has
	p = f.Plan(Wanted{})
	if p.Volumes[0].State != Blocked || p.Volumes[1].State != There {
		t.Errorf("%+v, %+v", p.Volumes[0], p.Volumes[1])
	}
}

func TestWhatIsAskedFor(t *testing.T) {
	a, b, c := volumeOf("pvc-1", "shop", "data"), volumeOf("pvc-2", "mail", "data"), volumeOf("pvc-3", "mail", "logs")
	c.Created = made.Add(time.Hour)
	unknown := answers.Volume{ID: "pi/gv0/old", Name: "old", Created: made, Kubernetes: "this"}
	selector, err := labels.Parse("app=data")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		wanted Wanted
		want   []string
	}{
		"all":         {Wanted{}, []string{"pi/gv0/old", "mail/data", "mail/logs", "shop/data"}},
		"a namespace": {Wanted{Namespace: "mail"}, []string{"mail/data", "mail/logs"}},
		"labels":      {Wanted{Labels: selector}, []string{"mail/data", "shop/data"}},
		"the young":   {Wanted{Since: made.Add(time.Minute)}, []string{"mail/logs"}},
		"the old":     {Wanted{Before: made.Add(time.Minute)}, []string{"pi/gv0/old", "mail/data", "shop/data"}},
		"all of it":   {Wanted{Namespace: "mail", Labels: selector, Before: made.Add(time.Minute)}, []string{"mail/data"}},
	} {
		var got []string
		for _, target := range found(a, b, c, unknown).Plan(test.wanted).Volumes {
			got = append(got, target.String())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, not %q", name, got, test.want)
		}
	}
	if target := found(unknown).Plan(Wanted{}).Volumes[0]; target.State != Blocked || !strings.Contains(target.Cure, "--entry pi/gv0/old") {
		t.Errorf("of an unknown claim: %+v", target)
	}
}

func TestWhatIsAnothersIsLeftUntilItIsTakenOver(t *testing.T) {
	a, b := volumeOf("pvc-1", "shop", "data"), volumeOf("pvc-2", "shop", "data")
	a.Kubernetes, a.Others, b.Kubernetes, b.Others = "dead", true, "test", true
	f := found(a, b)
	f.Entries = []answers.TrashEntry{{Entry: "pi/gv0/x", Volume: "pi/gv0/pvc-3", Kubernetes: "dead", Others: true, MadeFor: a.MadeFor}}
	f.Snapshots = []answers.Snapshot{
		{ID: "pi/gv0/s1", Name: "s1", Volume: a.ID, Ready: true}, {ID: "pi/gv0/s2", Name: "s2", Volume: b.ID, Ready: true},
		{ID: "pi/gv0/s3", Name: "s3", Volume: "pi/gv0/pvc-3", Ready: true, MadeFor: &answers.SnapshotMadeFor{Namespace: "backup", Name: "nightly"}},
		{ID: "pi/gv0/s4", Name: "s4", Volume: "pi/gv0/gone", Ready: true},
	}
	p := f.Plan(Wanted{})
	if len(p.Volumes) > 0 || len(p.Snapshots) > 0 || len(p.Elsewhere) != 2 || p.Elsewhere[0] != (Elsewhere{"dead", 1, 1}) || !p.IsLeft() || !f.IsOf("dead") {
		t.Errorf("%+v", p)
	}
	p = f.Plan(Wanted{TakeOver: "dead"})
	if target := one(t, p); target.State != Missing || target.Volume != a.ID || len(p.Elsewhere) != 1 || p.Trash != 1 {
		t.Errorf("taken over: %+v, %+v", target, p)
	}
	var snapshots []string
	for _, s := range p.Snapshots {
		snapshots = append(snapshots, s.String()+" "+string(s.State))
	}
	if !slices.Equal(snapshots, []string{"backup/nightly to make", "shop/s1 to make"}) || len(p.Notes) != 2 || !strings.HasPrefix(p.Notes[0], "Snapshots of volumes that are gone") {
		t.Errorf("its snapshots: %q, %q", snapshots, p.Notes)
	}
}
