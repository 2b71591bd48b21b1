// SPDX-License-Identifier: Apache-2.0

package undelete

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
		have := f.claims[key]
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

// isBefore says that something was deleted before a time, or nobody knows when. What was begun here is not.
func isBefore(c Candidate, since time.Time) bool {
	if since.IsZero() || c.isBegun {
		return false
	}
	return c.Deleted == nil || c.Deleted.Before(since)
}

// judge sets the state of a target, and why it is so.
func (f *Found) judge(t *Target, wanted Wanted) {
	if have := f.claims[t.String()]; have != nil {
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
			t.Cure = "if this one takes the place of that: --set controller.kubernetesID=" + other + ", see docs/two-clusters.md"
		}
		return
	}
	t.State = Ready
	f.setClass(t, wanted.Class)
	switch namespace := f.namespaces[t.Namespace]; {
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
	isOfThis := t.From == nil || have.GetAnnotations()[Annotation] != "" || text(have, "spec", "volumeName") == t.From.Name ||
		"pvc-"+string(have.GetUID()) == t.From.Name // the provisioner is just making it
	switch {
	case have.GetDeletionTimestamp() != nil:
		t.block("the claim is being deleted, and goes when no pod uses it", fmt.Sprintf("kubectl -n %s describe pvc %s   # Used By", t.Namespace, t.Claim))
	case isOfThis:
		t.State, t.Reason = There, "the claim is there"
	default:
		volume := text(have, "spec", "volumeName")
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
	for i := range f.pvs {
		pv := &f.pvs[i]
		isOfVolume := text(pv, "spec", "csi", "driver") == f.Driver && text(pv, "spec", "csi", "volumeHandle") == t.From.Volume
		switch {
		case isOfVolume && isGoing(pv):
			t.block("its old PersistentVolume "+pv.GetName()+" is still being deleted", "repeat in a moment; if it stays: kubectl describe pv "+pv.GetName())
		case isOfVolume && t.From.Source != Waiting:
			t.block("PersistentVolume "+pv.GetName()+" has this volume already", "kubectl get pv "+pv.GetName())
		case !isOfVolume && pv.GetName() == objectName(t.From):
			t.block("PersistentVolume "+pv.GetName()+" is of another volume", "kubectl get pv "+pv.GetName())
		}
	}
}
