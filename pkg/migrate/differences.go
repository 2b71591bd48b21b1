// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"strings"
)

// sayDifferences says what is not as it was with the old plugin.
func (p *planner) sayDifferences(pv *Object, b binding, say func(Finding)) {
	note := func(format string, args ...any) { say(Finding{Severity: Note, Message: fmt.Sprintf(format, args...)}) }
	provisioner, _ := pv.annotation("pv.kubernetes.io/provisioned-by")
	isHeketi := provisioner == InTree
	switch policy := text(pv.Content, "spec", "persistentVolumeReclaimPolicy"); {
	case policy == "Recycle":
		note("its reclaim policy Recycle becomes Retain: nothing is recycled any more, and a CSI driver cannot")
	case policy == "Delete" && isHeketi:
		note("its reclaim policy Delete becomes Retain: heketi, which owned the Gluster volume, would have removed it. Remove it yourself when it is no longer wanted")
	case policy == "Delete":
		note("its reclaim policy Delete becomes Retain: the driver never deletes a directory that it did not make")
	}
	if isHeketi && dynamic.MatchString(text(pv.Content, "spec", "glusterfs", "endpoints")) {
		note("the old plugin made Endpoints and Service %s for it, which go when the claim or the volume is deleted; the clusters file has the addresses instead",
			text(pv.Content, "spec", "glusterfs", "endpoints"))
	}
	if len(pv.hints) > 0 {
		note("its metadata.namespace (%s) is dropped: a PersistentVolume has none", strings.Join(pv.hints, ", "))
	}
	if modes := texts(pv.Content, "spec", "accessModes"); len(modes) > 0 {
		switch {
		case strings.Join(writableFirst(modes), ",") != strings.Join(modes, ","):
			note("its accessModes are reordered, the writable one first: kubelet passes the first alone to a CSI driver")
		case len(modes) == 1 && modes[0] == readOnlyMany:
			note("its only access mode is ReadOnlyMany, which the old plugin ignored: pods could write, and cannot any more")
		}
	}
	p.sayBinding(pv, b, note)
	p.sayManager(pv, say)
	for _, finalizer := range texts(pv.Content, "metadata", "finalizers") {
		if !OwnFinalizer(finalizer) {
			say(Finding{
				Severity: ByHand, Message: fmt.Sprintf("has the finalizer %s, which is not Kubernetes' own: it is not replaced while it has it", finalizer),
				Cure: "end or configure whatever put it there, so that it removes it",
			})
		}
	}
}

// sayBinding says what was understood of the claim, and what its class means.
func (p *planner) sayBinding(pv *Object, b binding, note func(string, ...any)) {
	switch {
	case b.unused != "":
		return
	case b.ref == nil && len(b.others) > 1:
		note("it fits %d claims, %s, and nothing says which one has it: it is reserved for none, so that either may get it, as before", len(b.others), namesOf(b.others))
	case b.ref == nil && len(b.others) == 1:
		note("it fits the claim %s, as others do: it is reserved for none, as before", namesOf(b.others))
	case b.ref == nil:
		note("no claim asks for it: it is reserved for none, as before. Any claim of its class that fits may get its data; to keep it for one, set spec.claimRef")
	case !b.certain:
		note("nothing says whose it is; it is reserved for %s/%s: %s", b.ref.Namespace, b.ref.Name, b.reason)
	}
	if b.claim == nil {
		return
	}
	volumeClass, _ := class(pv)
	claimClass, isSaid := class(b.claim)
	switch {
	case !isSaid && !p.opt.Live:
		note("its claim %s/%s says no class, which means the default class where there is one; the new claim says storageClassName: %q, as the volume has, "+
			"so that no other class takes it", b.ref.Namespace, b.ref.Name, volumeClass)
	case !isSaid:
		note("its claim %s/%s says no class. It stays as it is; one that is made anew gets the default class where there is one, so write storageClassName: %q into its manifest",
			b.ref.Namespace, b.ref.Name, volumeClass)
	case claimClass != volumeClass:
		note("its class is %q and that of its claim %s/%s is %q; both stay so", volumeClass, b.ref.Namespace, b.ref.Name, claimClass)
	}
	if isSmaller(pv, b.claim) {
		note("its claim %s/%s asks for more than its capacity", b.ref.Namespace, b.ref.Name)
	}
}

// saySharedPlaces says which volumes show the same directory: that was so before, and stays so.
func (p *planner) saySharedPlaces() {
	byPlace := map[Place][]string{}
	for _, v := range p.plan.Volumes {
		if v.Volume != "" {
			byPlace[v.Place] = append(byPlace[v.Place], v.Name)
		}
	}
	p.sayContested()
	for place, names := range byPlace {
		if len(names) > 1 {
			p.say(Finding{
				Severity: Note, About: place.String(),
				Message: fmt.Sprintf("is shown by %d PersistentVolumes, as before: %s. What one writes, the others see", len(names), strings.Join(names, ", ")),
			})
		}
	}
}

// sayContested says which volumes are reserved for the same claim: it gets one of them.
func (p *planner) sayContested() {
	byClaim := map[Reference][]string{}
	for _, v := range p.plan.Volumes {
		if v.Claim != nil && v.Action == Replace {
			byClaim[*v.Claim] = append(byClaim[*v.Claim], v.Name)
		}
	}
	for claim, names := range byClaim {
		if len(names) > 1 {
			p.say(Finding{
				Severity: ByHand, About: claim.String(), Message: fmt.Sprintf("is named by the claimRef of %d PersistentVolumes: %s. It gets one of them", len(names), strings.Join(names, ", ")),
				Cure: "remove the claimRef of those that are not its own, or give the claim, too, whose volumeName says which one it is",
			})
		}
	}
}

// managers are signs of those who would make an object again as it was.
var managers = []struct {
	name string
	key  string // an annotation or a label
	cure string
}{
	{"Helm", "meta.helm.sh/release-name", "change the chart, too: `helm upgrade` fails on the old source, which cannot be changed back"},
	{"Helm", "helm.sh/chart", "change the chart, too: `helm upgrade` fails on the old source, which cannot be changed back"},
	{"Argo CD", "argocd.argoproj.io/tracking-id", "pause it before, and change its repository"},
	{"Argo CD", "argocd.argoproj.io/instance", "pause it before, and change its repository"},
	{"Flux", "kustomize.toolkit.fluxcd.io/name", "suspend it before, and change its repository"},
	{"Flux", "helm.toolkit.fluxcd.io/name", "suspend it before, and change its repository"},
}

// sayManager says who manages the object and has to know of the change.
func (p *planner) sayManager(o *Object, say func(Finding)) {
	for _, m := range managers {
		value, isAnnotated := o.annotation(m.key)
		if !isAnnotated {
			value = text(o.Content, "metadata", "labels", m.key)
		}
		if value == "" {
			continue
		}
		say(Finding{Severity: ByHand, Message: fmt.Sprintf("is managed by %s (%s: %s), whose labels and annotations are kept", m.name, m.key, value), Cure: m.cure})
		return
	}
	if text(o.Content, "metadata", "labels", "app.kubernetes.io/managed-by") == "Helm" || text(o.Content, "metadata", "labels", "heritage") == "Helm" {
		say(Finding{Severity: ByHand, Message: "is managed by Helm, whose labels and annotations are kept", Cure: managers[0].cure})
	}
}
