// SPDX-License-Identifier: Apache-2.0

package undelete

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
)

// Plan says what is to be done about the claims that are meant, by namespace and name.
func (f *Found) Plan(wanted Wanted) []*Target {
	all := f.candidates()
	keys := slices.Sorted(maps.Keys(all))
	if len(wanted.Claims) > 0 {
		keys = nil
		for _, name := range wanted.Claims {
			keys = append(keys, wanted.Namespace+"/"+name)
		}
	}
	var plan []*Target
	for _, key := range keys {
		namespace, name, _ := strings.Cut(key, "/")
		if key == "" || wanted.Namespace != "" && namespace != wanted.Namespace {
			continue
		}
		had := all[key]
		if wanted.Entry != "" { // it may be of a driver that did not record claims, or of another claim
			had = slices.Concat(slices.Collect(maps.Values(all))...)
		}
		had = slices.DeleteFunc(slices.Clone(had), func(c Candidate) bool { return isBefore(c, wanted.Since) })
		have := f.Claims[key]
		if len(wanted.Claims) == 0 && (len(had) == 0 || have != nil && have.GetDeletionTimestamp() == nil) {
			continue
		}
		t := &Target{Namespace: namespace, Claim: name}
		t.From, t.Others = chosen(had, wanted.Entry)
		if wanted.Entry != "" {
			t.Others = nil
		}
		f.judge(t, wanted)
		plan = append(plan, t)
	}
	return plan
}

// isBefore says that something was deleted before a time, or nobody knows when. What was begun here, or is just being deleted, is not.
func isBefore(c Candidate, since time.Time) bool {
	if since.IsZero() || c.isBegun || c.isGoing {
		return false
	}
	return c.Deleted == nil || c.Deleted.Before(since)
}

// judge sets the state of a target, and why it is so.
func (f *Found) judge(t *Target, wanted Wanted) {
	if have := f.Claims[t.String()]; have != nil {
		f.judgeExisting(t, have)
		return
	}
	if t.From == nil {
		t.State, t.Reason = Gone, "nothing of it is in the trash, and no volume of it is without its objects: what the trash has given up is gone for good"
		if wanted.Entry != "" {
			t.Reason = "there is no " + wanted.Entry
		}
		t.Cure = "look what there is: kubectl glusterfs trash -A"
		if other := f.otherOf(t.String(), wanted.Entry); other != "" {
			t.Reason += "; what there is of it belongs to Kubernetes cluster " + other
			t.Cure = "if that is gone for good: kubectl glusterfs recover --take-over " + other + " --apply"
		}
		return
	}
	t.State = Ready
	f.setClass(t, wanted.Class)
	switch namespace := f.Namespaces[t.Namespace]; {
	case namespace == nil:
		t.block("namespace "+t.Namespace+" is not there", "kubectl create namespace "+t.Namespace)
	case namespace.GetDeletionTimestamp() != nil:
		t.block("namespace "+t.Namespace+" is being deleted", "wait until it is gone, then: kubectl create namespace "+t.Namespace)
	case t.From.Unrestorable != "":
		t.block("the newest cannot be restored: "+t.From.Unrestorable, t.older())
	default:
		f.judgePV(t)
	}
}

func (t *Target) block(reason, cure string) { t.State, t.Reason, t.Cure = Blocked, reason, cure }

// blockGoing is of a PersistentVolume that is being deleted: where its data will be is known afterwards.
func (t *Target) blockGoing(name string) {
	t.block("its old PersistentVolume "+name+" is still being deleted", "repeat in a moment; if it stays: kubectl describe pv "+name)
}

// older is how to bring back the next one.
func (t *Target) older() string {
	for _, c := range t.Others {
		if c.Unrestorable == "" {
			return fmt.Sprintf("to have an older one: kubectl glusterfs undelete %s -n %s --entry %s", t.Claim, t.Namespace, c.Entry)
		}
	}
	return "see docs/undelete.md"
}

// judgeExisting is of a claim that is there.
func (f *Found) judgeExisting(t *Target, have *unstructured.Unstructured) {
	isOfThis := t.From == nil || have.GetAnnotations()[Annotation] != "" || objects.Text(have, "spec", "volumeName") == t.From.Name ||
		"pvc-"+string(have.GetUID()) == t.From.Name // the provisioner is just making it
	switch {
	case have.GetDeletionTimestamp() != nil:
		t.block("the claim is being deleted, and goes when no pod uses it", fmt.Sprintf("kubectl -n %s describe pvc %s   # Used By", t.Namespace, t.Claim))
	case isOfThis:
		t.State, t.Reason = There, "the claim is there"
	case t.From.isGoing:
		t.blockGoing(t.From.Name)
	default:
		volume := objects.Text(have, "spec", "volumeName")
		if volume == "" {
			volume = "none yet"
		}
		t.block("another claim of this name is there, with another volume ("+volume+")",
			fmt.Sprintf("if it is not needed: kubectl -n %s delete pvc %s, then: kubectl glusterfs undelete %s -n %s --entry %s",
				t.Namespace, t.Claim, t.Claim, t.Namespace, t.From.Entry))
	}
}

// judgePV looks at the PersistentVolume that has the name, or the volume.
func (f *Found) judgePV(t *Target) {
	for i := range f.PVs {
		pv := &f.PVs[i]
		isOfVolume := objects.Text(pv, "spec", "csi", "driver") == f.Driver && objects.Text(pv, "spec", "csi", "volumeHandle") == t.From.Volume
		switch {
		case isOfVolume && isGoing(pv):
			t.blockGoing(pv.GetName())
		case isOfVolume && t.From.Source != Waiting:
			t.block("PersistentVolume "+pv.GetName()+" has this volume already", "kubectl get pv "+pv.GetName())
		case !isOfVolume && pv.GetName() == t.volume(f.Driver).ObjectName():
			t.block("PersistentVolume "+pv.GetName()+" is of another volume", "kubectl get pv "+pv.GetName())
		}
	}
}

// setClass finds the class that the volume was made with.
func (f *Found) setClass(t *Target, said string) {
	if t.From.pv != nil {
		t.Class, t.Policy = objects.Text(t.From.pv, "spec", "storageClassName"), objects.Text(t.From.pv, "spec", "persistentVolumeReclaimPolicy")
		return
	}
	class := objects.ClassFor(f.Classes, f.Driver, t.From.madeFor, said)
	t.Class, t.Policy = class.Name, class.Policy
	switch {
	case class.Missing != "" && said != "":
		t.block("there is no StorageClass "+said, "kubectl get storageclass")
	case class.Missing != "":
		t.block("there is no StorageClass "+class.Missing+", which it was made with", "make it, or say --storage-class NAME")
	}
	if class.Note != "" {
		t.Notes = append(t.Notes, class.Note)
	}
}

// volume is what the target is to be in Kubernetes.
func (t *Target) volume(driver string) objects.Volume {
	c := t.From
	return objects.Volume{
		Driver: driver, Handle: c.Volume, Name: c.Name, Capacity: c.Capacity, Attributes: c.attributes, MadeFor: c.madeFor,
		Namespace: t.Namespace, Claim: t.Claim, Class: t.Class, Policy: t.Policy, Annotations: map[string]string{Annotation: c.Entry},
	}
}
