// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

const (
	isDefaultSnapshotClass = "snapshot.storage.kubernetes.io/is-default-class"

	contentKind  = "content"
	snapshotKind = "snapshot"
)

// planSnapshots plans what is to be done about the snapshots of the planned volumes and of what is in the trash. Whose
// a snapshot is nobody has written down but by its volume. Which one a name gets is decided among all of this
// Kubernetes cluster's.
func (f *Found) planSnapshots(p *Plan, volumes []*Target, wanted Wanted) {
	owners := f.ownersOf(volumes, wanted)
	waiting, without := 0, 0
	var all []*Snapshot
	for _, s := range f.Snapshots {
		of, isOurs := owners[s.Volume]
		switch {
		case !isOurs && !f.has(s.Volume):
			without++
		case !isOurs:
		case f.hasSnapshotKinds:
			all = append(all, f.snapshot(s, of))
		case of.isMeant:
			waiting++
		}
	}
	f.judgeSnapshots(p, all)
	if waiting > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("Snapshots that get no objects, as the cluster has no VolumeSnapshots (docs/install.md#snapshots): %d. Repeat when it has.", waiting))
	}
	if without > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("Snapshots of volumes that are gone, of which nobody knows whose they are (glusterfs-csi snapshot list): %d.", without))
	}
	if slices.ContainsFunc(p.Snapshots, func(s *Snapshot) bool { return slices.Contains(s.Missing, contentKind) }) {
		p.Notes = append(p.Notes, "No record knows the deletionPolicy of a snapshot: what is made gets Retain, and stays on gv0 when its VolumeSnapshot is deleted.")
	}
}

// judgeSnapshots plans those that are meant, of all.
func (f *Found) judgeSnapshots(p *Plan, all []*Snapshot) {
	slices.SortFunc(all, func(a, b *Snapshot) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), b.Created.Compare(a.Created), cmp.Compare(a.Handle, b.Handle))
	})
	newest := map[string]*Snapshot{}
	for _, s := range all {
		hasIt := names(f.snapshots[s.String()], s.Content)
		if !s.of.isUnowned && (newest[s.String()] == nil || hasIt) {
			newest[s.String()] = s
		}
	}
	var left []string
	for _, s := range all {
		first := newest[s.String()]
		switch {
		case !s.of.isMeant:
		case first != nil && !first.of.isMeant && s.content == nil:
			left = append(left, fmt.Sprintf("%s (%s)", s.Handle, s))
		default:
			f.judgeSnapshot(s, first)
			p.Snapshots = append(p.Snapshots, s)
		}
	}
	if len(left) > 0 {
		p.Notes = append(p.Notes, "Snapshots that are left, as a newer one of their name is not among what was asked for: "+strings.Join(left, ", ")+".")
	}
}

// owner is what is known of a volume that a snapshot is of.
type owner struct {
	namespace string // of its claim; "" where that is not known
	isUnowned bool
	isMeant   bool
}

// ownersOf are, by volume, those of this Kubernetes cluster's volumes and of what it has in the trash.
func (f *Found) ownersOf(volumes []*Target, wanted Wanted) map[string]owner {
	found := map[string]owner{}
	for _, e := range f.Entries {
		if e.Others && e.Kubernetes != wanted.TakeOver {
			continue
		}
		of := owner{isUnowned: e.Kubernetes == "" && !wanted.Unowned, isMeant: wanted.isMeant(answers.Volume{MadeFor: e.MadeFor, Created: e.Deleted})}
		if e.MadeFor != nil {
			of.namespace = e.MadeFor.Namespace
		}
		found[e.Volume] = of
	}
	for _, t := range volumes {
		found[t.Volume] = owner{t.Namespace, t.isUnowned, t.isMeant}
	}
	return found
}

// has says whether a volume is there, or in the trash, whoever it belongs to.
func (f *Found) has(volume string) bool {
	return slices.ContainsFunc(f.Volumes, func(v answers.Volume) bool { return v.ID == volume }) ||
		slices.ContainsFunc(f.Entries, func(e answers.TrashEntry) bool { return e.Volume == volume })
}

// snapshot is one of a volume of which this is known. Nothing is judged yet.
func (f *Found) snapshot(s answers.Snapshot, of owner) *Snapshot {
	t := &Snapshot{Namespace: of.namespace, Handle: s.ID, Volume: s.Volume, Created: s.Created, Policy: retain, of: of, isReady: s.Ready}
	t.Name = objects.NameFor(s.Name, s.ID, "recovered")
	t.Content = "snapcontent-" + strings.TrimPrefix(t.Name, "snapshot-") // as the sidecar has it
	if s.MadeFor != nil {
		t.Namespace, t.Name = s.MadeFor.Namespace, s.MadeFor.Name
	}
	t.Class = f.snapshotClass()
	if t.content = f.contentOf(t); t.content != nil { // whatever it is called here, and whose it was
		t.of.isUnowned = false
		t.Content = t.content.GetName()
		t.Namespace, t.Name = objects.Text(t.content, "spec", "volumeSnapshotRef", "namespace"), objects.Text(t.content, "spec", "volumeSnapshotRef", "name")
		t.Class, t.Policy = objects.Text(t.content, "spec", "volumeSnapshotClassName"), objects.Text(t.content, "spec", "deletionPolicy")
	}
	return t
}

// names says whether a VolumeSnapshot, if there is one, is of a VolumeSnapshotContent.
func names(have *unstructured.Unstructured, content string) bool {
	return have != nil && (objects.Text(have, "spec", "source", "volumeSnapshotContentName") == content ||
		objects.Text(have, "status", "boundVolumeSnapshotContentName") == content)
}

// judgeSnapshot sets the state of a snapshot, and why it is so. first is the one that its name is to have.
func (f *Found) judgeSnapshot(t, first *Snapshot) {
	have := f.snapshots[t.String()]
	switch {
	case t.content == nil && f.isBlocked(t):
	case first != t && !names(have, t.Content):
		t.block("another snapshot is the one of this name, "+first.Handle+": this one was made before it, or the name has that one",
			"if it is wanted: a VolumeSnapshotContent with the snapshotHandle "+t.Handle+", for a VolumeSnapshot of another name")
	case names(have, t.Content) && t.content != nil:
		t.State = There
	case have != nil && !names(have, t.Content):
		t.differ("another VolumeSnapshot of this name is there", fmt.Sprintf("kubectl -n %s get volumesnapshot %s", t.Namespace, t.Name))
	case t.content != nil && objects.Text(t.content, "spec", "volumeSnapshotRef", "uid") != "":
		t.block("its VolumeSnapshot was deleted in this cluster, and VolumeSnapshotContent "+t.Content+" is kept", "kubectl get volumesnapshotcontent "+t.Content)
	case t.content == nil && !t.isReady:
		t.block("it is still being copied", "repeat when it is ready: glusterfs-csi snapshot list")
	default:
		f.setMissing(t, have == nil)
	}
}

// isBlocked says of a snapshot without a content whether none can be made for it, and sets why.
func (f *Found) isBlocked(t *Snapshot) bool {
	switch {
	case t.of.isUnowned:
		t.block(unownedReason, unownedCure)
	case t.Namespace == "":
		t.block("no record knows in which namespace it was made", "see `glusterfs-csi snapshot list`, and docs/recover.md")
	case slices.ContainsFunc(f.contents, func(c unstructured.Unstructured) bool { return c.GetName() == t.Content }):
		t.differ("VolumeSnapshotContent "+t.Content+" is of another snapshot", "kubectl get volumesnapshotcontent "+t.Content)
	default:
		return false
	}
	return true
}

// setMissing sets which objects are to be made for a snapshot.
func (f *Found) setMissing(t *Snapshot, isName bool) {
	t.State = Missing
	if f.Namespaces[t.Namespace] == nil {
		t.Missing = append(t.Missing, namespaceKind)
	}
	if t.content == nil {
		t.Missing = append(t.Missing, contentKind)
	}
	if isName {
		t.Missing = append(t.Missing, snapshotKind)
	}
}

// contentOf is the VolumeSnapshotContent of a snapshot, whatever its name.
func (f *Found) contentOf(t *Snapshot) *unstructured.Unstructured {
	for i := range f.contents {
		c := &f.contents[i]
		if objects.Text(c, "spec", "driver") == f.Driver &&
			(objects.Text(c, "spec", "source", "snapshotHandle") == t.Handle || objects.Text(c, "status", "snapshotHandle") == t.Handle) {
			return c
		}
	}
	return nil
}

// snapshotClass is the driver's default class, or its only one.
func (f *Found) snapshotClass() string {
	var own []*unstructured.Unstructured
	for i := range f.snapshotClasses {
		if objects.Text(&f.snapshotClasses[i], "driver") == f.Driver {
			own = append(own, &f.snapshotClasses[i])
		}
	}
	at := slices.IndexFunc(own, func(c *unstructured.Unstructured) bool { return c.GetAnnotations()[isDefaultSnapshotClass] == "true" })
	if at < 0 && len(own) == 1 {
		at = 0
	}
	if at < 0 {
		return ""
	}
	return own[at].GetName()
}

// contentObject is for the snapshot's VolumeSnapshot alone.
func (s *Snapshot) contentObject(driver string) *unstructured.Unstructured {
	spec := map[string]any{
		"driver": driver, "deletionPolicy": s.Policy, "source": map[string]any{"snapshotHandle": s.Handle},
		"volumeSnapshotRef": map[string]any{"apiVersion": snapshotGroup + "/v1", "kind": "VolumeSnapshot", "namespace": s.Namespace, "name": s.Name},
	}
	if s.Class != "" {
		spec["volumeSnapshotClassName"] = s.Class
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": snapshotGroup + "/v1", "kind": "VolumeSnapshotContent", "metadata": map[string]any{"name": s.Content}, "spec": spec,
	}}
}

// object names the content.
func (s *Snapshot) object() *unstructured.Unstructured {
	spec := map[string]any{"source": map[string]any{"volumeSnapshotContentName": s.Content}}
	if s.Class != "" {
		spec["volumeSnapshotClassName"] = s.Class
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": snapshotGroup + "/v1", "kind": "VolumeSnapshot", "metadata": map[string]any{"namespace": s.Namespace, "name": s.Name}, "spec": spec,
	}}
}
