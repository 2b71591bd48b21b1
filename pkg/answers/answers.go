// SPDX-License-Identifier: Apache-2.0

// Package answers is what commands of glusterfs-csi say with -o json, for programs that ask a running driver. Fields
// are added and never change their meaning: whoever asks may be older than the driver, or newer.
package answers

import "time"

// Busy is what a command says, among other things, where another operation on the same volume or trash entry is under way: the
// same command is to be repeated.
const Busy = "another operation on it is under way"

// MadeFor is what Kubernetes wanted a volume for. Volumes of drivers that did not record it have none.
type MadeFor struct {
	Namespace    string            `json:"namespace,omitempty"`
	Claim        string            `json:"claim,omitempty"`
	AccessModes  []string          `json:"accessModes,omitempty"`
	MountOptions []string          `json:"mountOptions,omitempty"`
	Parameters   map[string]string `json:"parameters,omitempty"`
	Class        string            `json:"class,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
}

// Owner is what was asked for by name.
type Owner struct {
	UID  *uint32 `json:"uid,omitempty"`
	GID  *uint32 `json:"gid,omitempty"`
	Mode string  `json:"mode,omitempty"` // octal
}

// Volume is one of `volume list`, and what `trash restore` has restored.
type Volume struct {
	ID       string    `json:"id"`   // the volumeHandle
	Name     string    `json:"name"` // in CSI, which is that of the PersistentVolume if Kubernetes made it
	Path     string    `json:"path"`
	Capacity int64     `json:"capacityBytes"`
	Enforced bool      `json:"enforced"`            // it ends there
	Used     *int64    `json:"usedBytes,omitempty"` // where that is known
	Owner    Owner     `json:"owner"`
	OnDelete string    `json:"onDelete"`
	Origin   string    `json:"origin"`
	Created  time.Time `json:"created"`
	// Kubernetes is the ID of the Kubernetes cluster that it belongs to, "" where nobody has said so; Others says that it
	// is not the one that the answering controller works for.
	Kubernetes string `json:"kubernetes,omitempty"`
	Others     bool   `json:"others,omitempty"`
	// Attributes are the volumeAttributes of its PersistentVolume.
	Attributes map[string]string `json:"volumeAttributes,omitempty"`
	MadeFor    *MadeFor          `json:"madeFor,omitempty"`
}

// TrashEntry is one of `trash list`. How much data it has is not known without a walk through all of it.
type TrashEntry struct {
	Entry    string    `json:"entry"`
	Volume   string    `json:"volume"`         // the volumeHandle
	Name     string    `json:"name,omitempty"` // as Volume's
	Path     string    `json:"path"`
	Capacity int64     `json:"capacityBytes"`
	Owner    Owner     `json:"owner"`
	Deleted  time.Time `json:"deleted"`
	Due      time.Time `json:"due"` // when it may go
	Held     bool      `json:"held"`
	// Unrestorable is the reason why it cannot be restored, "" where it can.
	Unrestorable string `json:"unrestorable,omitempty"`
	// Kubernetes is the ID of the Kubernetes cluster that deleted it; Others is as Volume's.
	Kubernetes string `json:"kubernetes,omitempty"`
	Others     bool   `json:"others,omitempty"`
	// Attributes and MadeFor are as Volume's.
	Attributes map[string]string `json:"volumeAttributes,omitempty"`
	MadeFor    *MadeFor          `json:"madeFor,omitempty"`
}

// SplitFile is one of `volume split-brain`: a file of which the bricks have different copies.
type SplitFile struct {
	Path    string      `json:"path"`    // below the volume's directory
	Differs string      `json:"differs"` // in what
	Copies  []SplitCopy `json:"copies"`
	Counts  string      `json:"counts,omitempty"` // the brick whose copy counts now, or would
	Kept    string      `json:"kept,omitempty"`   // where the other copy is, once it is settled
	Why     string      `json:"why,omitempty"`    // it cannot be settled
}

// SplitCopy is what one brick has.
type SplitCopy struct {
	Brick   string    `json:"brick"`
	Size    int64     `json:"sizeBytes"`
	Changed time.Time `json:"changed"`
	Mode    string    `json:"mode"` // octal
	UID     uint32    `json:"uid"`
	GID     uint32    `json:"gid"`
	Error   string    `json:"error,omitempty"` // why it cannot be read
}

// Snapshot is one of `snapshot list`.
type Snapshot struct {
	ID      string    `json:"id"` // the snapshotHandle
	Name    string    `json:"name"`
	Volume  string    `json:"volume"` // the volumeHandle
	Created time.Time `json:"created"`
	// MadeFor is what Kubernetes wanted it for; none of drivers that did not record it.
	MadeFor *SnapshotMadeFor `json:"madeFor,omitempty"`
	Ready   bool             `json:"ready"` // else it is still being copied, and has no more than this
	Size    int64            `json:"sizeBytes,omitempty"`
	Own     *int64           `json:"ownBytes,omitempty"` // what it holds alone, with --own
	Files   int64            `json:"files,omitempty"`    // directories and all else included
	Linked  int64            `json:"linked,omitempty"`   // those that are the previous snapshot's, too
	Changed int64            `json:"changed,omitempty"`  // those that changed, or went, while they were read
	// ChangedFirst are the names of the first of those, as Go quotes them.
	ChangedFirst []string `json:"changedFirst,omitempty"`
}

// SnapshotMadeFor is the VolumeSnapshot that a snapshot was made for.
type SnapshotMadeFor struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Severity is how bad a Finding is.
type Severity string

// The severities.
const (
	OK      Severity = "ok"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Finding is one of `doctor`: what was looked at, and what is true of it.
type Finding struct {
	Check    string   `json:"check"` // its name, which stays
	Severity Severity `json:"severity"`
	About    string   `json:"about"` // a server, a brick, a Gluster volume, a path, an object
	Message  string   `json:"message"`
	Cure     string   `json:"cure,omitempty"`  // a command where one cures it
	Where    string   `json:"where,omitempty"` // where to run it, if it is not a workstation
	Node     string   `json:"node,omitempty"`  // who has looked, where that matters
}

// Well is a Finding that nothing is wrong.
func Well(check, about, message string) Finding {
	return Finding{Check: check, Severity: OK, About: about, Message: message}
}

// Warned is a Finding of what may become wrong.
func Warned(check, about, message, cure string) Finding {
	return Finding{Check: check, Severity: Warning, About: about, Message: message, Cure: cure}
}

// Fault is a Finding of what is wrong.
func Fault(check, about, message, cure string) Finding {
	return Finding{Check: check, Severity: Error, About: about, Message: message, Cure: cure}
}

// Client is one of `clients`.
type Client struct {
	Volume  string   `json:"volume"`  // cluster/Gluster volume
	Options []string `json:"options"` // of the client
	PID     int      `json:"pid"`
	// Program is the version of GlusterFS that it runs, and Group the control group that it has, of a client with a root and a group of its own.
	// Others end with the mounter's container, and run what that has.
	Program string `json:"program,omitempty"`
	Group   string `json:"group,omitempty"`
	// Outdated says that a client that is started now has another version, or other files by which hosts are found (/etc/hosts, resolv.conf).
	Outdated bool  `json:"outdated,omitempty"`
	Memory   int64 `json:"memoryBytes,omitempty"` // resident
}

// Dump is what `dump` tells of a host, for a support bundle.
type Dump struct {
	Files   []DumpFile    `json:"files"`
	Missing []DumpMissing `json:"missing,omitempty"`
}

// DumpFile is one text of it.
type DumpFile struct {
	Path    string `json:"path"` // relative, with slashes
	Text    string `json:"text"`
	Cut     int64  `json:"cutBytes,omitempty"`     // of its beginning, for want of room
	Reduced int    `json:"reducedLines,omitempty"` // lines of which something, or all, is left out for its content
}

// DumpMissing is what could not be had.
type DumpMissing struct {
	What string `json:"what"`
	Node string `json:"node,omitempty"`
	Why  string `json:"why"`
}

// Mark is how people see it.
func (s Severity) Mark() string {
	switch s {
	case OK:
		return "✔"
	case Warning:
		return "!"
	}
	return "✘"
}
