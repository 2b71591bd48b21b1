// SPDX-License-Identifier: Apache-2.0

// Package undelete brings claims that were deleted back, with their data: from the trash of the Gluster volume, or from
// a volume that lost its PersistentVolume or its claim.
//
//	volume    the PersistentVolume, which is for this claim alone, and says of which trash entry it is
//	restore   the data moves back to its place, by a command in the running controller
//	claim     the claim, which names the PersistentVolume; Kubernetes' volume binder does the rest
//
// What to do next is read from the cluster and the Gluster volume each time, never remembered: a PersistentVolume that was
// made here and has no claim is where it goes on. No pod can use it before its claim is there, and so not before its
// data is. An interruption at any point is followed by going on there (TestUndeleteKilledBetweenAnyTwoSteps), and to
// repeat what is done does nothing.
package undelete

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// Annotation is on each object that was made here: what it is of, as --entry names it.
const Annotation = "undelete.glusterfs.csi.gluster.org/from"

// ErrLeft says that a claim could not be brought back for a reason that a person has to remove.
var ErrLeft = errors.New("not brought back")

// Source is where the data of a claim is.
type Source string

// The sources.
const (
	Trash   Source = "trash"             // an entry of the trash
	Volume  Source = "volume"            // a volume that has no PersistentVolume
	Waiting Source = "persistent volume" // a PersistentVolume whose claim is gone
)

// Candidate is data that a claim had.
type Candidate struct {
	Source   Source     `json:"source"`
	Entry    string     `json:"entry"`  // as --entry names it: the trash entry, or the volume's ID
	Volume   string     `json:"volume"` // the volumeHandle
	Name     string     `json:"persistentVolume"`
	Capacity int64      `json:"capacityBytes"`
	Deleted  *time.Time `json:"deleted,omitempty"`
	// Unrestorable is the reason why it cannot be restored, "" where it can.
	Unrestorable string `json:"unrestorable,omitempty"`

	madeFor    *answers.MadeFor
	attributes map[string]string
	pv         *unstructured.Unstructured // of Waiting
	isBegun    bool                       // Waiting, and made here
	isGoing    bool                       // Waiting, and being deleted
	isTrashed  bool                       // its data is in the trash
}

// State is what is to be done about a claim.
type State string

// The states.
const (
	Ready   State = "to bring back"
	There   State = "there"
	Blocked State = "blocked"
	Gone    State = "gone"
	Back    State = "back" // it was brought back by this run
)

// Target is a claim and what it is brought back from.
type Target struct {
	Namespace string      `json:"namespace"`
	Claim     string      `json:"claim"`
	State     State       `json:"state"`
	From      *Candidate  `json:"from,omitempty"`
	Others    []Candidate `json:"others,omitempty"` // older ones
	Class     string      `json:"storageClassName,omitempty"`
	Policy    string      `json:"reclaimPolicy,omitempty"`
	Reason    string      `json:"reason,omitempty"`
	Cure      string      `json:"cure,omitempty"`
	Notes     []string    `json:"notes,omitempty"`
}

// String is namespace and name.
func (t *Target) String() string { return t.Namespace + "/" + t.Claim }

// Wanted says which claims are meant.
type Wanted struct {
	Namespace string    // "": of all namespaces
	Claims    []string  // none: all of them
	Since     time.Time // what was deleted before is not meant; zero: all is
	Entry     string    // of one claim: this, not the newest
	Class     string    // "": the one that the volume was made with
}

// newestFirst sorts candidates: what this tool has begun and what is just being deleted, then by the time of their
// deletion, then what nobody knows the time of.
func newestFirst(a, b Candidate) int {
	rank := func(c Candidate) int {
		switch {
		case c.isBegun, c.isGoing:
			return 0
		case c.Deleted != nil:
			return 1
		}
		return 2
	}
	if by := cmp.Compare(rank(a), rank(b)); by != 0 {
		return by
	}
	if a.Deleted != nil && b.Deleted != nil {
		return cmp.Or(b.Deleted.Compare(*a.Deleted), cmp.Compare(a.Entry, b.Entry))
	}
	return cmp.Compare(a.Entry, b.Entry)
}

// chosen splits what a claim had into the one to bring back and the others. nil: there is none.
func chosen(all []Candidate, entry string) (*Candidate, []Candidate) {
	slices.SortFunc(all, newestFirst)
	at := 0
	if entry != "" {
		at = slices.IndexFunc(all, func(c Candidate) bool { return c.Entry == entry })
	}
	if at < 0 || len(all) == 0 {
		return nil, all
	}
	one := all[at]
	return &one, slices.Delete(slices.Clone(all), at, at+1)
}
