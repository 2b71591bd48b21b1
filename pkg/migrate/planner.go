// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// Options are what the objects do not say.
type Options struct {
	// DefaultNamespace is for objects whose file says none. "" is "default".
	DefaultNamespace string
	// Namespace, if it is set, leaves out of the plan what belongs to claims and workloads of other namespaces.
	Namespace string
	// Servers are those behind Endpoints that are not there any more, by <namespace>/<name>, or by the name alone for
	// all namespaces.
	Servers map[string][]string
	// Live says that the objects are all that a running cluster has, so that what is not among them does not exist.
	Live bool
}

// ClustersConfigMap has the driver's clusters file, with this key.
const (
	ClustersConfigMap = "glusterfs-csi-clusters"
	ClustersKey       = "clusters.yaml"
)

// planner is one plan that is being made.
type planner struct {
	opt      Options
	in       *input
	pods     []podSpec
	plan     *Plan
	clusters *clusterSet
	// placed are the volumes and inline volumes whose cluster's name is not known before all servers are.
	placed []*placement
	names  map[string]bool // of PersistentVolumes, old and new
}

// placement is what a new PersistentVolume is made of.
type placement struct {
	group     *serverGroup
	endpoints Reference // that the servers are of
	volume    string
	directory string
	isBlocked bool // its servers are not known
	isLeft    bool // nobody uses it
	inline    int  // its place among the inline volumes, from 1; 0: none
	finish    func(cluster string)
	unusable  func(reason string)
}

// Make plans. Neither the objects nor their order nor what they hold is changed. found are findings of the reading,
// which become the plan's.
func Make(objects []Object, found []Finding, opt Options) *Plan {
	opt.DefaultNamespace = cmp.Or(opt.DefaultNamespace, "default")
	p := &planner{opt: opt, names: map[string]bool{}, plan: &Plan{
		APIVersion: APIVersion, Kind: Kind, Live: opt.Live,
		Clusters: []Cluster{}, Volumes: []Volume{}, Inline: []Inline{}, Workloads: []Workload{}, Findings: slices.Clone(found),
	}}
	p.in = newInput(objects, opt.DefaultNamespace, p.say)
	for _, pv := range p.in.byKind["PersistentVolume"] {
		p.names[pv.name()] = true
	}
	p.pods = podSpecs(p.in)
	p.clusters = newClusterSet(p.in, p.say)
	p.planVolumes()
	p.planInline()
	p.place()
	p.planClasses()
	p.planClaims()
	p.planWorkloads()
	p.saySharedPlaces()
	p.sayAssumed()
	p.sort()
	return p.plan
}

func (p *planner) say(f Finding) { p.plan.Findings = append(p.plan.Findings, f) }

// about is say for one object.
func (p *planner) about(o *Object) func(Finding) {
	return func(f Finding) {
		f.About, f.Source = o.reference().String(), o.Source
		p.say(f)
	}
}

// place names the clusters, now that all of them are known, and finishes what has a place in one.
func (p *planner) place() {
	for _, item := range p.placed {
		if !item.isLeft { // a Gluster volume that is gone would not answer the driver
			item.group.addVolume(item.volume)
		}
	}
	p.clusters.settle(p.say)
	for _, item := range p.placed {
		if err := (gluster.Volume{Cluster: item.group.name, Name: item.volume}).Validate(); err != nil {
			item.unusable(err.Error())
			continue
		}
		item.finish(item.group.name)
	}
	p.plan.ClustersFile, p.plan.Clusters = p.clusters.result()
	for _, o := range p.in.byKind["ConfigMap"] {
		if o.name() == ClustersConfigMap && slices.ContainsFunc(p.plan.Clusters, func(c Cluster) bool { return c.New }) {
			p.about(o)(Finding{
				Severity: ByHand, Message: "is changed by --apply, and changed back by whoever applies the driver's manifests or chart again",
				Cure: "put this clusters file into your copy of deploy/kubernetes/base/clusters.yaml, or into the chart's value clusters",
			})
		}
	}
}

// sayAssumed says once that namespaces were assumed, and of which objects.
func (p *planner) sayAssumed() {
	var assumed []string
	for _, o := range p.in.all {
		if o.namespaceAssumed && (isOurs(o.kind()) || mentions(o.Content)) {
			assumed = append(assumed, o.kind()+" "+o.name())
		}
	}
	if len(assumed) == 0 {
		return
	}
	p.say(Finding{
		Severity: Note, About: "namespace " + p.opt.DefaultNamespace,
		Message: "is assumed for what says no namespace, as kubectl does: " + strings.Join(assumed, ", "),
		Cure:    "if it is another one, say it: -n NAMESPACE",
	})
}

func (p *planner) sort() {
	slices.SortFunc(p.plan.Volumes, func(a, b Volume) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(p.plan.Inline, func(a, b Inline) int {
		return cmp.Or(byReference(a.Workload, b.Workload), strings.Compare(a.Volume, b.Volume))
	})
	order := map[Severity]int{Blocks: 0, ByHand: 1, Note: 2}
	slices.SortStableFunc(p.plan.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(order[a.Severity], order[b.Severity]), strings.Compare(a.About, b.About))
	})
	p.plan.Findings = slices.Compact(p.plan.Findings)
}

// isIn says whether a namespace is one that the plan is of.
func (p *planner) isIn(namespace string) bool {
	return p.opt.Namespace == "" || p.opt.Namespace == namespace
}
