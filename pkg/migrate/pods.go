// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// podSpec is one pod template, or a pod, wherever it sits in an object of whatever kind.
type podSpec struct {
	object *Object
	// owner is who runs it: the object, or its controller where that is not among the objects.
	owner   Reference
	spec    map[string]any
	volumes []map[string]any
}

// podSpecs finds all of them, but those whose controller is among the objects: there it is found anyway.
func podSpecs(in *input) []podSpec {
	var found []podSpec
	for _, o := range in.all {
		if slices.Contains([]string{"Template", "PersistentVolume", "PersistentVolumeClaim"}, o.kind()) {
			continue
		}
		controller, name := in.owner(o)
		if controller != nil && hasPods(controller) {
			continue
		}
		owner := o.reference()
		if name != nil && controller == nil {
			owner = *name
		}
		walkPodSpecs(o.Content, func(spec map[string]any) {
			found = append(found, podSpec{object: o, owner: owner, spec: spec, volumes: mapsAt(spec, "volumes")})
		})
	}
	return found
}

// hasPods says whether an object has a pod template; a custom resource that makes Deployments may have none.
func hasPods(o *Object) bool {
	has := o.kind() == "CronJob" || o.kind() == "DeploymentConfig"
	walkPodSpecs(o.Content, func(map[string]any) { has = true })
	return has || at(o.Content, "spec", "template", "spec") != nil
}

// walkPodSpecs visits each map that has a list `volumes` of named volumes.
func walkPodSpecs(value any, visit func(map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		if slices.ContainsFunc(mapsAt(value, "volumes"), func(v map[string]any) bool { return text(v, "name") != "" }) {
			visit(value)
		}
		for _, key := range sortedKeys(value) {
			walkPodSpecs(value[key], visit)
		}
	case []any:
		for _, below := range value {
			walkPodSpecs(below, visit)
		}
	}
}

// uses says whether pods of the spec have a claim.
func (s podSpec) uses(claim Reference) bool {
	if s.object.namespace() != claim.Namespace {
		return false
	}
	for _, v := range s.volumes {
		if text(v, "persistentVolumeClaim", "claimName") == claim.Name {
			return true
		}
	}
	return false
}

// madeFor says whether a claim is one of a StatefulSet's own, <template>-<name>-<ordinal>.
func madeFor(o *Object, claim Reference) bool {
	if o.kind() != "StatefulSet" || o.namespace() != claim.Namespace {
		return false
	}
	for _, t := range mapsAt(o.Content, "spec", "volumeClaimTemplates") {
		ordinal, isOwn := strings.CutPrefix(claim.Name, text(t, "metadata", "name")+"-"+o.name()+"-")
		if isOwn && digits.MatchString(ordinal) {
			return true
		}
	}
	return false
}

var digits = regexp.MustCompile(`^[0-9]+$`)

// isUsed says whether any workload has the claim.
func (p *planner) isUsed(claim *Object) bool {
	ref := claim.reference()
	return slices.ContainsFunc(p.pods, func(s podSpec) bool { return s.uses(ref) }) ||
		slices.ContainsFunc(p.in.byKind["StatefulSet"], func(o *Object) bool { return madeFor(o, ref) })
}

// sayPod says what the driver does with the pods' fsGroup, which the old plugin ignored, and where it cannot run them.
func (p *planner) sayPod(s podSpec, place Place, isReadOnly bool) {
	say := p.about(s.object)
	if users, isSaid := at(s.spec, "hostUsers").(bool); isSaid && !users {
		say(Finding{Severity: ByHand, Message: "has hostUsers: false, with which pods cannot use a GlusterFS volume", Cure: "remove hostUsers from the pod template"})
	}
	group, has := number(s.spec, "securityContext", "fsGroup")
	switch {
	case !has || isReadOnly:
	case place.Path == "/":
		say(Finding{
			Severity: ByHand, Message: fmt.Sprintf("has fsGroup %d, which the old plugin ignored. The driver refuses one where a volume is a whole Gluster volume (path /): pods would not start", group),
			Cure: "remove fsGroup from the pod template, and use supplementalGroups where the group is needed",
		})
	default:
		say(Finding{
			Severity: Note, Message: fmt.Sprintf("has fsGroup %d, which the old plugin ignored: the driver grants that group everything in %s, once (nothing is taken from others)", group, place),
			Cure: "remove fsGroup from the pod template if that is not wanted",
		})
	}
}

func sortedKeys(content map[string]any) []string {
	keys := make([]string, 0, len(content))
	for key := range content {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
