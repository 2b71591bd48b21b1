// SPDX-License-Identifier: Apache-2.0

// Package migrate plans the way from the in-tree GlusterFS plugin, which Kubernetes 1.26 has removed, to this driver.
//
// Its input is objects, of a running cluster or from files, and its output a Plan, which is data: the clusters file, a
// PersistentVolume of this driver for each of the old plugin's, the claims, the workloads to stop first, and whatever
// cannot be done, with the reason. It asks no server and changes nothing.
//
// A new PersistentVolume has the old one's name. So the claim that is bound to it stays the object that it is, since
// only its volumeName leads there: it is never deleted, and nobody who watches it makes another one that is empty. Data
// is neither moved nor removed: the new one is a static PersistentVolume of the directory that the old one showed, with
// the reclaim policy Retain.
package migrate

import (
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// What a plan says that it is.
const (
	APIVersion = "migrate.glusterfs.csi.gluster.org/v1alpha1"
	Kind       = "MigrationPlan"
)

// DriverName is the driver that new PersistentVolumes are of.
const DriverName = "glusterfs.csi.gluster.org"

// Plan is what is to be done. Two plans of the same objects are equal, whatever order those come in.
type Plan struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Live says that the objects are a running cluster's, whose claims stay as they are.
	Live bool `json:"live"`
	// ClustersFile is the whole of the driver's: what it had, and what the volumes below need.
	ClustersFile ClustersFile `json:"clustersFile"`
	Clusters     []Cluster    `json:"clusters"`
	Volumes      []Volume     `json:"volumes"`
	Inline       []Inline     `json:"inlineVolumes"`
	// Workloads use a claim or a volume of the plan. They are to be stopped in this order, and started again in the
	// opposite one.
	Workloads []Workload `json:"workloads"`
	Findings  []Finding  `json:"findings"`
}

// ClustersFile is the driver's, as pkg/gluster parses it.
type ClustersFile struct {
	Clusters []gluster.Cluster `json:"clusters"`
}

// Text is what is in the file.
func (f ClustersFile) Text() string { return gluster.ClustersText(f.Clusters) }

// Cluster says where a cluster of the clusters file comes from.
type Cluster struct {
	Name    string      `json:"name"`
	Sources []Reference `json:"sources"` // Endpoints and others that have its servers
	// New says that the driver does not have it yet, or not all of its Gluster volumes.
	New bool `json:"new"`
}

// Action is what becomes of an old PersistentVolume.
type Action string

const (
	// Replace means: a PersistentVolume of this driver takes its place.
	Replace Action = "replace"
	// Leave means: nobody uses it. The plan shows what would take its place, and nothing is done.
	Leave Action = "leave"
	// Blocked means: something is missing; the findings say what.
	Blocked Action = "blocked"
	// Made means: the objects for an inline volume are there, and the pod template is still to be changed.
	Made Action = "made"
)

// Volume is an old PersistentVolume, and what takes its place.
type Volume struct {
	Name   string `json:"name"`
	Action Action `json:"action"`
	Phase  string `json:"phase,omitempty"`
	// Claim is who has it, if that is known.
	Claim *Reference `json:"claim,omitempty"`
	Place
	Options   []string `json:"mountOptions,omitempty"`
	Endpoints string   `json:"endpoints"` // that its servers come from: <namespace>/<name>
	Source    string   `json:"source,omitempty"`
	// PersistentVolume is the new object. It has no claim's uid: that is the applier's, who has seen the claim.
	PersistentVolume map[string]any `json:"persistentVolume,omitempty"`
	// PersistentVolumeClaim is for a cluster that does not have the claim yet; of a plan of a running cluster it is
	// nil.
	PersistentVolumeClaim map[string]any `json:"persistentVolumeClaim,omitempty"`

	// Old is the object to be replaced.
	Old *Object `json:"-"`
}

// Place is where the data is.
type Place struct {
	Cluster string `json:"cluster,omitempty"`
	Volume  string `json:"volume,omitempty"` // the Gluster volume
	Path    string `json:"path,omitempty"`   // below its root; "/" is all of it
}

// String is <cluster>/<gluster volume>:<path>.
func (p Place) String() string {
	if p.Volume == "" {
		return "?"
	}
	return p.Cluster + "/" + p.Volume + ":/" + strings.TrimPrefix(p.Path, "/")
}

// Inline is a volume that a pod template has without a PersistentVolume. It gets one, and a claim; the template is its
// owner's to change.
type Inline struct {
	Workload Reference `json:"workload"`
	Volume   string    `json:"volume"` // its name in the template
	Action   Action    `json:"action"`
	Place
	PersistentVolume      map[string]any `json:"persistentVolume,omitempty"`
	PersistentVolumeClaim map[string]any `json:"persistentVolumeClaim,omitempty"`
	// Entry is what the template's list `volumes` has to have instead.
	Entry  map[string]any `json:"entry,omitempty"`
	Source string         `json:"source,omitempty"`
}

// Workload is what runs pods that use volumes of the plan.
type Workload struct {
	Reference
	Replicas *int64   `json:"replicas,omitempty"` // what it has now, for a kind that has replicas
	Uses     []string `json:"uses"`               // claims and inline volumes
	// Stop and Start are commands. They are "" for what a person has to do by hand, which ByHand says.
	Stop   string `json:"stop,omitempty"`
	Start  string `json:"start,omitempty"`
	ByHand string `json:"byHand,omitempty"`
	// Stopped says that it runs no pods now.
	Stopped bool `json:"stopped,omitempty"`
}

// Severity is what a finding asks for.
type Severity string

const (
	// Blocks means: something is not migrated because of it.
	Blocks Severity = "blocked"
	// ByHand means: a person has to do something that this tool does not.
	ByHand Severity = "byHand"
	// Note means: what is different afterwards, or was understood in one of several ways.
	Note Severity = "note"
)

// Finding is something that a person has to know.
type Finding struct {
	Severity Severity `json:"severity"`
	// About names an object or a file.
	About   string `json:"about"`
	Source  string `json:"source,omitempty"`
	Message string `json:"message"`
	Cure    string `json:"cure,omitempty"`
}

// Complete says whether the whole way is planned: nothing is blocked, and nothing has to be done by hand.
func (p *Plan) Complete() bool {
	return !slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Severity != Note })
}

// Objects are the new objects in the order in which they can be made, without the clusters file.
func (p *Plan) Objects() []map[string]any {
	var volumes, claims []map[string]any
	add := func(action Action, volume, claim map[string]any) {
		if action != Replace {
			return
		}
		if volume != nil {
			volumes = append(volumes, volume)
		}
		if claim != nil {
			claims = append(claims, claim)
		}
	}
	for _, v := range p.Volumes {
		add(v.Action, v.PersistentVolume, v.PersistentVolumeClaim)
	}
	for _, i := range p.Inline {
		add(i.Action, i.PersistentVolume, i.PersistentVolumeClaim)
	}
	return slices.Concat(volumes, claims)
}
