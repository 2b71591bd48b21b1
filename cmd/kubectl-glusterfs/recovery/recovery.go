// SPDX-License-Identifier: Apache-2.0

// Package recovery makes the objects of all volumes again, in a Kubernetes cluster that has none of them, from what the Gluster
// volumes know: namespaces, PersistentVolumes and claims, and the objects of snapshots.
//
//	take over   what a dead Kubernetes cluster had becomes this one's, by a command in the running controller
//	namespace   the claim's, where it is not there
//	volume      the PersistentVolume, which is for this claim alone
//	claim       the claim, which names the PersistentVolume; Kubernetes' volume binder does the rest
//	policy      of a PersistentVolume whose claim was there before: the class's reclaim policy, when the claim is bound
//	content     the VolumeSnapshotContent, which names the snapshot
//	snapshot    the VolumeSnapshot, which names the content
//
// What to do next is read from the cluster and the Gluster volumes each time, never remembered, so an interruption at
// any point is followed by going on there, and to repeat what is done does nothing
// (TestRecoverKilledBetweenAnyTwoSteps). Nothing that somebody else has made is changed or deleted: what differs is
// said.
package recovery

import (
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// ErrLeft says that something could not be made for a reason that a person has to remove.
var ErrLeft = errors.New("not recovered")

// State is what is to be done about a volume or a snapshot.
type State string

// The states.
const (
	Missing State = "to make"
	There   State = "there"
	Differs State = "differs" // it exists, and is another; it is left
	Blocked State = "blocked"
	Made    State = "made" // by this run
)

// What a volume may lack.
const (
	namespaceKind = "namespace"
	volumeKind    = "persistent volume"
	claimKind     = "claim"
	policyKind    = "reclaim policy"
)

// Judgement is what is to be done about one, and why.
type Judgement struct {
	State   State    `json:"state"`
	Missing []string `json:"missing,omitempty"` // what of it is to be made
	Reason  string   `json:"reason,omitempty"`
	Cure    string   `json:"cure,omitempty"`
}

// IsLeft says that a person has to do something about it.
func (j *Judgement) IsLeft() bool { return j.State == Differs || j.State == Blocked }

func (j *Judgement) block(reason, cure string)  { j.State, j.Reason, j.Cure = Blocked, reason, cure }
func (j *Judgement) differ(reason, cure string) { j.State, j.Reason, j.Cure = Differs, reason, cure }

// Target is a volume and its claim.
type Target struct {
	Namespace string    `json:"namespace,omitempty"`
	Claim     string    `json:"claim,omitempty"` // "" where no record knows it
	Volume    string    `json:"volume"`          // the volumeHandle
	Name      string    `json:"persistentVolume"`
	Capacity  int64     `json:"capacityBytes"`
	Created   time.Time `json:"created"`
	Judgement
	Class  string   `json:"storageClassName,omitempty"`
	Policy string   `json:"reclaimPolicy,omitempty"`
	Notes  []string `json:"notes,omitempty"`

	wanted    objects.Volume
	isMeant   bool
	isUnowned bool // it belongs to no Kubernetes cluster, and nobody has said that it is this one's
}

// String is namespace and name, or the volume where the claim is not known.
func (t *Target) String() string {
	if t.Claim == "" {
		return t.Volume
	}
	return t.Namespace + "/" + t.Claim
}

// Snapshot is a snapshot of one of the volumes.
type Snapshot struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Content   string    `json:"content"` // the VolumeSnapshotContent
	Handle    string    `json:"snapshot"`
	Volume    string    `json:"volume"` // the volumeHandle of what it is of
	Created   time.Time `json:"created"`
	Judgement
	Class  string `json:"volumeSnapshotClassName,omitempty"`
	Policy string `json:"deletionPolicy,omitempty"`

	of      owner
	content *unstructured.Unstructured // that is there; nil for none
	isReady bool                       // else it is still being copied
}

// String is namespace and name.
func (s *Snapshot) String() string { return s.Namespace + "/" + s.Name }

// Elsewhere is what another Kubernetes cluster has, of what was asked for.
type Elsewhere struct {
	Kubernetes string `json:"kubernetes"`
	Volumes    int    `json:"volumes"`
	Trash      int    `json:"trashEntries"`
}

// Plan is all that is to be done.
type Plan struct {
	Volumes   []*Target   `json:"volumes"`
	Snapshots []*Snapshot `json:"snapshots,omitempty"`
	Elsewhere []Elsewhere `json:"elsewhere,omitempty"`
	// Namespaces are those that are to be made.
	Namespaces []string `json:"namespaces,omitempty"`
	// Trash is how many deleted volumes `kubectl glusterfs undelete` reaches.
	Trash int `json:"trashEntries"`
	// TakeOver is whose the volumes and the trash are first, "" where they are this Kubernetes cluster's.
	TakeOver string   `json:"takeOver,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

// IsLeft says that a person has something to do.
func (p *Plan) IsLeft() bool {
	if len(p.Volumes) == 0 && len(p.Elsewhere) > 0 {
		return true // all that there is, perhaps, is another's
	}
	for _, t := range p.Volumes {
		if t.IsLeft() {
			return true
		}
	}
	for _, s := range p.Snapshots {
		if s.IsLeft() {
			return true
		}
	}
	return false
}

// Wanted says which volumes are meant.
type Wanted struct {
	Namespace string          // "": of all namespaces
	Labels    labels.Selector // of the claim, as it had them when the volume was made; nil: any
	Since     time.Time       // what was made before is not meant; zero: all is
	Before    time.Time       // what was made since is not meant; zero: all is
	Class     *string         // nil: the one that the volume was made with
	TakeOver  string          // the Kubernetes cluster whose volumes are to be this one's; "" for none
	Unowned   bool            // what belongs to no Kubernetes cluster is this one's
}

// isMeant says so of a volume.
func (w Wanted) isMeant(v answers.Volume) bool {
	m := v.MadeFor
	if m == nil {
		m = &answers.MadeFor{}
	}
	switch {
	case w.Namespace != "" && m.Namespace != w.Namespace:
		return false
	case w.Labels != nil && !w.Labels.Matches(labels.Set(m.Labels)):
		return false
	case !w.Since.IsZero() && v.Created.Before(w.Since):
		return false
	}
	return w.Before.IsZero() || v.Created.Before(w.Before)
}
