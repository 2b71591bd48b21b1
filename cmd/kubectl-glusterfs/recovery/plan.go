// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// Plan says what is to be done about what is meant: about volumes by namespace and claim, and about their snapshots.
func (f *Found) Plan(wanted Wanted) *Plan {
	p := &Plan{TakeOver: wanted.TakeOver, Volumes: []*Target{}}
	elsewhere := map[string]*Elsewhere{}
	of := func(kubernetes string) *Elsewhere {
		if elsewhere[kubernetes] == nil {
			elsewhere[kubernetes] = &Elsewhere{Kubernetes: kubernetes}
		}
		return elsewhere[kubernetes]
	}
	var all []*Target // this Kubernetes cluster's, whether they are meant or not
	for _, v := range f.Volumes {
		switch isMeant := wanted.isMeant(v); {
		case !v.Others || v.Kubernetes == wanted.TakeOver:
			t := f.target(v)
			t.isMeant = isMeant
			t.isUnowned = v.Kubernetes == "" && !wanted.Unowned && f.pvOf(v.ID) == nil // a PersistentVolume entitles to it
			all = append(all, t)
		case isMeant:
			of(v.Kubernetes).Volumes++
		}
	}
	f.planTrash(p, wanted, of)
	for _, id := range slices.Sorted(maps.Keys(elsewhere)) {
		if e := elsewhere[id]; e.Volumes > 0 {
			p.Elsewhere = append(p.Elsewhere, *e)
		}
	}
	if wanted.TakeOver != "" && !f.IsOf(wanted.TakeOver) {
		p.Notes = append(p.Notes, "Nothing here belongs to Kubernetes cluster "+wanted.TakeOver+", or not any more.")
	}
	f.planVolumes(p, all, wanted)
	f.planSnapshots(p, all, wanted)
	p.setNamespaces()
	return p
}

// planTrash counts what is in the trash: this Kubernetes cluster's, and that of others.
func (f *Found) planTrash(p *Plan, wanted Wanted, of func(kubernetes string) *Elsewhere) {
	unowned := 0
	for _, e := range f.Entries {
		if e.Others && e.Kubernetes != wanted.TakeOver {
			of(e.Kubernetes).Trash++
			continue
		}
		p.Trash++
		if e.Kubernetes == "" {
			unowned++
		}
	}
	if unowned > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("Of what is in the trash, this belongs to no Kubernetes cluster; see that it is this one's before you undelete it: %d.", unowned))
	}
}

func (p *Plan) setNamespaces() {
	missing := map[string]bool{}
	for _, t := range p.Volumes {
		missing[t.Namespace] = missing[t.Namespace] || t.State == Missing && slices.Contains(t.Missing, namespaceKind)
	}
	for _, s := range p.Snapshots {
		missing[s.Namespace] = missing[s.Namespace] || s.State == Missing && slices.Contains(s.Missing, namespaceKind)
	}
	maps.DeleteFunc(missing, func(_ string, is bool) bool { return !is })
	p.Namespaces = slices.Sorted(maps.Keys(missing))
}

// target is a volume of which nothing is judged yet.
func (f *Found) target(v answers.Volume) *Target {
	t := &Target{Volume: v.ID, Capacity: v.Capacity, Created: v.Created}
	t.wanted = objects.Volume{Driver: f.Driver, Handle: v.ID, Name: v.Name, Capacity: v.Capacity, Attributes: v.Attributes, MadeFor: v.MadeFor}
	if m := v.MadeFor; m != nil {
		t.Namespace, t.Claim = m.Namespace, m.Claim
		t.wanted.Namespace, t.wanted.Claim, t.wanted.Labels = m.Namespace, m.Claim, m.Labels
	}
	t.Name = t.wanted.ObjectName()
	return t
}

// pvOf is the PersistentVolume of a volume, whatever its name.
func (f *Found) pvOf(handle string) *unstructured.Unstructured {
	for i := range f.PVs {
		if objects.Text(&f.PVs[i], "spec", "csi", "driver") == f.Driver && objects.Text(&f.PVs[i], "spec", "csi", "volumeHandle") == handle {
			return &f.PVs[i]
		}
	}
	return nil
}

// judgeWithoutPV is of a volume that has no PersistentVolume here.
func (f *Found) judgeWithoutPV(t *Target, wanted Wanted) {
	namespace, have := f.Namespaces[t.Namespace], f.Claims[t.String()]
	switch {
	case slices.ContainsFunc(f.PVs, func(pv unstructured.Unstructured) bool { return pv.GetName() == t.Name }):
		t.differ("PersistentVolume "+t.Name+" is of another volume", "kubectl get pv "+t.Name)
	case namespace != nil && namespace.GetDeletionTimestamp() != nil:
		t.block("namespace "+t.Namespace+" is being deleted", "repeat when it is gone")
	case have != nil && have.GetDeletionTimestamp() != nil:
		t.block("a claim of this name is being deleted, and goes when no pod uses it", fmt.Sprintf("kubectl -n %s describe pvc %s   # Used By", t.Namespace, t.Claim))
	case have != nil && objects.Text(have, "spec", "volumeName") != t.Name:
		t.differAsClaim(have)
	default:
		if namespace == nil {
			t.Missing = append(t.Missing, namespaceKind)
		}
		t.Missing = append(t.Missing, volumeKind)
		if have == nil {
			t.Missing = append(t.Missing, claimKind)
		} else { // it has lost its PersistentVolume, and takes none that does not name it by its UID
			t.wanted.ClaimUID = string(have.GetUID())
		}
		t.State = Missing
		f.setClass(t, have, wanted.Class)
		if have != nil {
			t.keep()
		}
	}
}

// differAsClaim is of a claim of the name that has another volume, or is to get one.
func (t *Target) differAsClaim(have *unstructured.Unstructured) {
	volume := objects.Text(have, "spec", "volumeName")
	if volume == "" {
		volume = "none yet"
	}
	t.differ("another claim of this name is there, with another volume ("+volume+")",
		fmt.Sprintf("if it is not needed: kubectl -n %s delete pvc %s, and repeat", t.Namespace, t.Claim))
}

// setClass finds the StorageClass. One that is not here is no reason to make a claim without: nobody can change that of a claim.
func (f *Found) setClass(t *Target, have *unstructured.Unstructured, said *string) {
	if have != nil {
		name := objects.Text(have, "spec", "storageClassName")
		said = &name
	}
	if said != nil && *said == "" {
		t.Policy = "Retain"
	} else {
		name := ""
		if said != nil {
			name = *said
		}
		class := objects.ClassFor(f.Classes, f.Driver, t.wanted.MadeFor, name)
		t.Class, t.Policy = class.Name, class.Policy
		switch {
		case have != nil: // whatever it is, the two must say the same
			t.Class = name
		case class.Missing != "" && said != nil:
			t.block("there is no StorageClass "+class.Missing, "kubectl get storageclass")
		case class.Missing != "":
			t.block("there is no StorageClass "+class.Missing+", which it was made with", `make it, or say --storage-class NAME, or --storage-class "" for none`)
		case class.Name == "":
			t.block("there is no StorageClass as the one that it was made with"+madeWith(t.wanted.MadeFor),
				`make it, or say --storage-class NAME, or --storage-class "" for none`)
		case class.Note != "":
			t.Notes = append(t.Notes, class.Note)
		}
	}
	t.wanted.Class, t.wanted.Policy = t.Class, t.Policy
}

// madeWith says what is known of a class of which the record has no name.
func madeWith(m *answers.MadeFor) string {
	if len(m.Parameters) > 0 {
		return fmt.Sprintf(", with the parameters %v", m.Parameters)
	}
	return ""
}
