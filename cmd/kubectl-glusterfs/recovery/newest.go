// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
)

// Whose a volume is that has no ID, nobody knows: another Kubernetes cluster of a version before IDs may use it.
const (
	unownedReason = "belongs to no Kubernetes cluster"
	unownedCure   = "if no other one uses this gv0, add --unowned"
)

// planVolumes judges those that are meant, of all that are this Kubernetes cluster's. Which one a claim is to have is
// decided among all of them: what is asked for must not give it an older one.
func (f *Found) planVolumes(p *Plan, all []*Target, wanted Wanted) {
	slices.SortFunc(all, func(a, b *Target) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Claim, b.Claim), b.Created.Compare(a.Created), cmp.Compare(a.Volume, b.Volume))
	})
	newest := f.newest(all)
	var left []string
	for _, t := range all {
		first := newest[t.String()]
		switch {
		case !t.isMeant:
		case t.isUnowned:
			t.block(unownedReason, unownedCure)
			p.Volumes = append(p.Volumes, t)
		case first != nil && !first.isMeant && f.pvOf(t.Volume) == nil:
			left = append(left, fmt.Sprintf("%s (%s)", t.Volume, t))
		default:
			f.judge(t, first, wanted)
			p.Volumes = append(p.Volumes, t)
		}
	}
	if len(left) > 0 {
		p.Notes = append(p.Notes, "Volumes that are left, as another one is their claim's, which is not among what was asked for: "+strings.Join(left, ", ")+".")
	}
}

// newest is, by claim, the volume that the claim is to have of several that were made for one of its name: the one that
// it has, or the one that was made last. The targets come in that order.
func (f *Found) newest(all []*Target) map[string]*Target {
	found := map[string]*Target{}
	for _, t := range all {
		have := f.Claims[t.String()]
		hasIt := have != nil && objects.Text(have, "spec", "volumeName") == t.Name
		if !t.isUnowned && (found[t.String()] == nil || hasIt) {
			found[t.String()] = t
		}
	}
	return found
}

// judge sets the state of a target, and why it is so. first is the one that the claim is to have.
func (f *Found) judge(t, first *Target, wanted Wanted) {
	pv := f.pvOf(t.Volume)
	switch {
	case t.Claim == "" && pv != nil:
		t.Name, t.State = pv.GetName(), There
	case t.Claim == "":
		t.block("its record does not know for which claim it was made", "kubectl glusterfs undelete CLAIM -n NAMESPACE --entry "+t.Volume)
	case first != t && pv == nil:
		t.isOlder(first)
	case pv != nil:
		f.judgePV(t, pv)
		if first != t && t.State == Missing { // somebody has made its PersistentVolume, and not the newest one's
			t.isOlder(first)
		}
	default:
		f.judgeWithoutPV(t, wanted)
	}
}

// isOlder is of a volume that is not the one of its claim.
func (t *Target) isOlder(first *Target) {
	t.Missing = nil
	t.block("another volume is the one of this claim, "+first.Volume+": this one was made before it, or the claim has that one",
		fmt.Sprintf("if it is wanted, when there is no such claim: kubectl glusterfs undelete %s -n %s --entry %s", t.Claim, t.Namespace, t.Volume))
}
