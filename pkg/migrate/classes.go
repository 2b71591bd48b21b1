// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// InTree is the old plugin's name as a provisioner.
const InTree = "kubernetes.io/glusterfs"

// planClasses says what becomes of heketi's classes.
func (p *planner) planClasses() {
	for _, o := range p.in.byKind["StorageClass"] {
		if text(o.Content, "provisioner") != InTree {
			continue
		}
		message := "is of the old plugin, which made a Gluster volume for each claim by heketi"
		if url := text(o.Content, "parameters", "resturl"); url != "" {
			message += " (" + url + ")"
		}
		message += ": new claims of it wait for ever"
		if users := p.askingFor(o.name()); len(users) > 0 {
			message += ". Asked for by the templates of " + strings.Join(users, ", ")
		}
		if value, _ := o.annotation("storageclass.kubernetes.io/is-default-class"); value == "true" {
			message += ". It is the default class"
		}
		f := Finding{
			Severity: ByHand, Message: message,
			Cure: fmt.Sprintf("delete it, and make a class of the same name with provisioner: %s and a Gluster volume that is to hold the new claims' directories as parameter volume", DriverName),
		}
		if old := sortedKeys(mapAt(o.Content, "parameters")); len(old) > 0 {
			f.Cure += "; its parameters mean nothing to the driver: " + strings.Join(old, ", ")
		}
		p.about(o)(f)
	}
}

// askingFor are the workloads whose templates make claims of a class.
func (p *planner) askingFor(class string) []string {
	var found []string
	for _, o := range p.in.all {
		if o.kind() != "PersistentVolumeClaim" && asksFor(o.Content, class) {
			found = append(found, o.reference().String())
		}
	}
	return found
}

func asksFor(value any, class string) bool {
	switch value := value.(type) {
	case map[string]any:
		templates := mapsAt(value, "volumeClaimTemplates")
		if t := mapAt(value, "volumeClaimTemplate"); t != nil {
			templates = append(templates, t)
		}
		for _, t := range templates {
			if text(t, "spec", "storageClassName") == class || text(t, "metadata", "annotations", betaClass) == class {
				return true
			}
		}
		for _, below := range value {
			if asksFor(below, class) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, func(below any) bool { return asksFor(below, class) })
	}
	return false
}

// planClaims says what becomes of claims that no volume of the plan is reserved for.
func (p *planner) planClaims() {
	for _, claim := range p.in.byKind["PersistentVolumeClaim"] {
		ref := claim.reference()
		if !p.isIn(ref.Namespace) || slices.ContainsFunc(p.plan.Volumes, func(v Volume) bool { return v.Claim != nil && *v.Claim == ref }) {
			continue
		}
		say := p.about(claim)
		if name := text(claim.Content, "spec", "volumeName"); name != "" {
			if p.in.find("PersistentVolume", "", name) == nil && (!p.opt.Live || p.isHeketis(claim)) {
				say(Finding{
					Severity: Note, Message: fmt.Sprintf("is bound to PersistentVolume %s, which is not among the objects", name),
					Cure: "if that was one of the old plugin, give it, too (`kubectl get pv -o yaml`)",
				})
			}
			continue
		}
		p.sayUnbound(claim, say)
	}
}

func (p *planner) isHeketis(claim *Object) bool {
	name, _ := class(claim)
	o := p.in.get(Reference{Kind: "StorageClass", Name: name, group: "storage.k8s.io"})
	return o != nil && text(o.Content, "provisioner") == InTree
}

// hasClassOfAny says whether a claim's class is that of an old PersistentVolume.
func (p *planner) hasClassOfAny(claim *Object) bool {
	name, _ := class(claim)
	return slices.ContainsFunc(p.plan.Volumes, func(v Volume) bool {
		of, _ := class(v.Old)
		return of == name
	})
}

// sayUnbound says why a claim has no volume, as far as old PersistentVolumes have to do with it.
func (p *planner) sayUnbound(claim *Object, say func(Finding)) {
	var free, taken []string
	for _, v := range p.plan.Volumes {
		switch {
		case !p.fits(v.Old, claim) || v.Action == Leave:
		case v.Claim == nil:
			free = append(free, v.Name)
		default:
			taken = append(taken, fmt.Sprintf("%s, which is %s/%s's", v.Name, v.Claim.Namespace, v.Claim.Name))
		}
	}
	_, isSaid := class(claim)
	switch {
	case len(free) > 0:
		f := Finding{Severity: Note, Message: "stays as it is, and is bound as before to one of: " + strings.Join(free, ", ")}
		if !isSaid {
			f.Cure = `it says no class: if it is made anew where there is a default class, write storageClassName: "" into it, or it gets a volume of that class`
		}
		say(f)
	case p.isHeketis(claim):
		name, _ := class(claim)
		say(Finding{Severity: ByHand, Message: fmt.Sprintf("waits for a volume of class %s, which nobody makes any more; it has no data yet", name), Cure: "replace the class, as said there"})
	case len(taken) > 0:
		say(Finding{
			Severity: ByHand, Message: "has no volume of its own, and gets none: it fits " + strings.Join(taken, "; "),
			Cure: "if it is to show the same data, copy the new PersistentVolume with another name, volumeHandle and claimRef; otherwise delete the claim",
		})
	case p.hasClassOfAny(claim):
		say(Finding{
			Severity: Note, Message: "has no volume, and none of the old PersistentVolumes without a claim fits it: access modes, size, labels or volumeMode differ",
		})
	}
}
