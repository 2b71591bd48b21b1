// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// stopOrder is that of kinds: first what starts others by itself, then what serves, and last what keeps data for those
// before it.
var stopOrder = []string{"CronJob", "", "Job", "Deployment", "DeploymentConfig", "ReplicaSet", "ReplicationController", "DaemonSet", "StatefulSet", "Pod"}

func rank(kind string) int {
	if i := slices.Index(stopOrder, kind); i >= 0 {
		return i
	}
	return slices.Index(stopOrder, "")
}

// planWorkloads lists who uses the claims of the plan.
func (p *planner) planWorkloads() {
	users := map[Reference]*Workload{}
	add := func(o *Object, owner Reference, claim Reference) {
		w := users[owner]
		if w == nil {
			w = workload(o, owner)
			users[owner] = w
		}
		if !slices.Contains(w.Uses, claim.Name) {
			w.Uses = append(w.Uses, claim.Name)
			slices.Sort(w.Uses)
		}
	}
	for _, v := range p.plan.Volumes {
		if v.Claim == nil || v.Action != Replace {
			continue
		}
		for _, s := range p.pods {
			if s.uses(*v.Claim) {
				add(s.object, s.owner, *v.Claim)
				p.sayPod(s, v.Place, s.isReadOnly(*v.Claim) || slices.Contains(v.Options, "ro"))
			}
		}
		for _, o := range p.in.byKind["StatefulSet"] {
			if madeFor(o, *v.Claim) {
				add(o, o.reference(), *v.Claim)
				p.sayPod(podSpec{object: o, spec: mapAt(o.Content, "spec", "template", "spec")}, v.Place, slices.Contains(v.Options, "ro"))
			}
		}
	}
	for _, w := range users {
		p.plan.Workloads = append(p.plan.Workloads, *w)
	}
	slices.SortFunc(p.plan.Workloads, func(a, b Workload) int {
		return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), byReference(a.Reference, b.Reference))
	})
}

// isReadOnly says whether pods have a claim read-only wherever they have it.
func (s podSpec) isReadOnly(claim Reference) bool {
	for _, v := range s.volumes {
		if text(v, "persistentVolumeClaim", "claimName") == claim.Name && !isTrue(v, "persistentVolumeClaim", "readOnly") {
			return false
		}
	}
	return true
}

// workload says how one is stopped and started again.
func workload(o *Object, owner Reference) *Workload {
	w := &Workload{Reference: owner}
	if o.reference() != owner {
		w.ByHand = fmt.Sprintf("stop it by its own means: it runs %s %s, and is not among the objects", o.kind(), o.name())
		return w
	}
	kubectl := fmt.Sprintf("kubectl -n %s ", owner.Namespace)
	target := strings.ToLower(owner.Kind) + "/" + owner.Name
	kind := owner.Kind
	if !slices.Contains([]string{"", "apps", "batch", "apps.openshift.io"}, owner.group) {
		kind = "" // one of the same name that works in another way
	}
	switch kind {
	case "Deployment", "DeploymentConfig", "ReplicaSet", "ReplicationController", "StatefulSet":
		replicas := int64(1) // what a server fills in
		if said, ok := number(o.Content, "spec", "replicas"); ok {
			replicas = said
		}
		w.Replicas, w.Stopped = &replicas, replicas == 0
		w.Stop = kubectl + "scale " + target + " --replicas=0"
		w.Start = fmt.Sprintf("%sscale %s --replicas=%d", kubectl, target, replicas)
	case "CronJob", "Job":
		w.Stopped = isTrue(o.Content, "spec", "suspend") || text(o.Content, "status", "completionTime") != ""
		w.Stop = kubectl + "patch " + target + ` -p '{"spec":{"suspend":true}}'`
		w.Start = kubectl + "patch " + target + ` -p '{"spec":{"suspend":false}}'`
	case "DaemonSet":
		const patch = `-p '{"spec":{"template":{"spec":{"nodeSelector":{"migrate":%s}}}}}'`
		w.Stop = kubectl + "patch " + target + " " + fmt.Sprintf(patch, `"now"`)
		w.Start = kubectl + "patch " + target + " " + fmt.Sprintf(patch, "null")
	case "Pod":
		phase := text(o.Content, "status", "phase")
		w.Stopped = phase == "Succeeded" || phase == "Failed"
		w.Stop = fmt.Sprintf("%sget %s -o yaml > %s.yaml && %sdelete %s", kubectl, target, owner.Name, kubectl, target)
		w.Start = "kubectl create -f " + owner.Name + ".yaml"
	default:
		w.ByHand = "stop it by its own means: what that is, is its owner's affair"
	}
	if w.Stopped {
		w.Stop, w.Start = "", ""
	}
	return w
}
