// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// betaClass was the place of a class's name before spec.storageClassName, on volumes and claims. Where both are, it
// counts.
const betaClass = "volume.beta.kubernetes.io/storage-class"

// binding is whose an old PersistentVolume is.
type binding struct {
	ref   *Reference // the claim, if it is known
	claim *Object    // it, if it is among the objects
	// certain: the objects say it. Otherwise it is the only claim that fits.
	certain bool
	reason  string       // why it is taken to be this claim's, if it is not certain
	unused  string       // why nobody uses it, or ""
	others  []*Object    // claims that fit as well, if no single one is known
	say     func(string) // a note
}

// class returns the name of a class, and whether one is said: a claim that says none gets the default class.
func class(o *Object) (name string, isSaid bool) {
	if name, ok := o.annotation(betaClass); ok {
		return name, true
	}
	name, isSaid = at(o.Content, "spec", "storageClassName").(string)
	return name, isSaid
}

// bindingOf finds the claim of an old PersistentVolume.
func (p *planner) bindingOf(pv *Object, say func(string)) binding {
	b := binding{say: say}
	if ref := mapAt(pv.Content, "spec", "claimRef"); text(ref, "name") != "" {
		return p.referenced(pv, ref, b)
	}
	phase := text(pv.Content, "status", "phase")
	if phase == "Released" || phase == "Failed" {
		b.unused = fmt.Sprintf("it is %s, and has no claim", phase)
		return b
	}
	var naming []*Object
	for _, claim := range p.in.byKind["PersistentVolumeClaim"] {
		if text(claim.Content, "spec", "volumeName") == pv.name() {
			naming = append(naming, claim)
		}
	}
	if len(naming) == 0 {
		naming = p.fitting(pv)
	} else {
		b.certain = true
	}
	return p.choose(pv, naming, b)
}

// choose takes the claim that is meant, of several that may be.
func (p *planner) choose(pv *Object, claims []*Object, b binding) binding {
	b.reason = "the only claim that fits"
	for _, step := range []struct {
		reason   string
		isBetter func(*Object) bool
	}{
		{"the only one of them that is bound", func(c *Object) bool { return text(c.Content, "status", "phase") == "Bound" }},
		{"in the namespace that the file says of it", func(c *Object) bool { return len(pv.hints) == 1 && pv.hints[0] == c.namespace() }},
		{"the one that a workload uses", p.isUsed},
	} {
		if len(claims) < 2 {
			break
		}
		if better := slices.DeleteFunc(slices.Clone(claims), func(c *Object) bool { return !step.isBetter(c) }); len(better) > 0 {
			b.reason = fmt.Sprintf("of the claims that fit, %s, ", namesOf(claims)) + step.reason
			claims = better
		}
	}
	if len(claims) == 1 && (b.certain || len(p.volumesFor(claims[0])) == 1) {
		ref := claims[0].reference()
		b.claim, b.ref = claims[0], &ref
		return b
	}
	b.others, b.certain = claims, false
	return b
}

// referenced is bindingOf for a PersistentVolume with a claimRef.
func (p *planner) referenced(pv *Object, ref map[string]any, b binding) binding {
	namespace, name, uid := text(ref, "namespace"), text(ref, "name"), text(ref, "uid")
	if namespace == "" {
		namespace = p.opt.DefaultNamespace
		b.say("its claimRef says no namespace; " + namespace + " is assumed")
	}
	phase := text(pv.Content, "status", "phase")
	b.certain = true
	b.ref = &Reference{Kind: "PersistentVolumeClaim", Namespace: namespace, Name: name}
	b.claim = p.in.find("PersistentVolumeClaim", namespace, name)
	if b.claim == nil {
		switch {
		case phase == "Released" || phase == "Failed":
			b.unused = fmt.Sprintf("it is %s, and its claim %s/%s is gone", phase, namespace, name)
		case p.opt.Live && uid != "":
			b.unused = fmt.Sprintf("its claim %s/%s is gone", namespace, name)
		case !p.opt.Live:
			b.say(fmt.Sprintf("its claim %s/%s is not among the files; it stays reserved for it", namespace, name))
		}
		return b
	}
	return b.judge(pv.name(), uid)
}

// judge says whether the claim that a claimRef names is the one that has the volume; uid is the claimRef's.
func (b binding) judge(volume, uid string) binding {
	bound := text(b.claim.Content, "spec", "volumeName")
	isSame := uid == "" || b.claim.uid() == "" || uid == b.claim.uid()
	who := b.ref.Namespace + "/" + b.ref.Name
	switch {
	case bound != "" && bound != volume:
		b.unused = fmt.Sprintf("its claim %s is bound to %s", who, bound)
	case !isSame && bound == "":
		b.unused = fmt.Sprintf("its claim was an earlier %s than the one that is there now", who)
	case !isSame:
		b.say(fmt.Sprintf("its claimRef has the uid of an earlier claim %s; it gets that of the claim there is now, which asks for it", who))
	}
	if b.unused != "" {
		b.claim = nil
	}
	return b
}

// fitting are the claims that would be bound to a PersistentVolume, as Kubernetes decides it.
func (p *planner) fitting(pv *Object) []*Object {
	var found []*Object
	for _, claim := range p.in.byKind["PersistentVolumeClaim"] {
		if text(claim.Content, "spec", "volumeName") == "" && p.fits(pv, claim) {
			found = append(found, claim)
		}
	}
	return found
}

// volumesFor are the PersistentVolumes without a claim that fit one, whoever's they are.
func (p *planner) volumesFor(claim *Object) []*Object {
	var found []*Object
	for _, pv := range p.in.byKind["PersistentVolume"] {
		if text(pv.Content, "spec", "claimRef", "name") == "" && p.fits(pv, claim) {
			found = append(found, pv)
		}
	}
	return found
}

func (p *planner) fits(pv, claim *Object) bool {
	volumeClass, _ := class(pv)
	claimClass, isSaid := class(claim)
	if !isSaid {
		claimClass = "" // where there is a default class, a claim that is made anew gets it; this one is from before
	}
	modes := texts(pv.Content, "spec", "accessModes")
	for _, mode := range texts(claim.Content, "spec", "accessModes") {
		if !slices.Contains(modes, mode) {
			return false
		}
	}
	return volumeClass == claimClass && isBlock(pv) == isBlock(claim) && !isSmaller(pv, claim) && isSelected(pv, claim)
}

func isBlock(o *Object) bool { return text(o.Content, "spec", "volumeMode") == "Block" }

func isSmaller(pv, claim *Object) bool {
	has, err := resource.ParseQuantity(fmt.Sprint(at(pv.Content, "spec", "capacity", "storage")))
	wants, errWants := resource.ParseQuantity(fmt.Sprint(at(claim.Content, "spec", "resources", "requests", "storage")))
	return err == nil && errWants == nil && has.Cmp(wants) < 0
}

// isSelected judges a claim's label selector.
func isSelected(pv, claim *Object) bool {
	labels := mapAt(pv.Content, "metadata", "labels")
	for key, value := range mapAt(claim.Content, "spec", "selector", "matchLabels") {
		if labels[key] != value {
			return false
		}
	}
	for _, e := range mapsAt(claim.Content, "spec", "selector", "matchExpressions") {
		value, has := labels[text(e, "key")].(string)
		isIn := has && slices.Contains(texts(e, "values"), value)
		switch text(e, "operator") {
		case "In":
			has = isIn
		case "NotIn":
			has = !isIn
		case "DoesNotExist":
			has = !has
		}
		if !has {
			return false
		}
	}
	return true
}

func namesOf(objects []*Object) string {
	var names []string
	for _, o := range objects {
		names = append(names, o.namespace()+"/"+o.name())
	}
	return strings.Join(names, ", ")
}
