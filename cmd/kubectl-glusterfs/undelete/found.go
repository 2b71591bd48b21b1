// SPDX-License-Identifier: Apache-2.0

package undelete

import (
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// Found is what there is.
type Found struct {
	objects.Cluster

	Entries []answers.TrashEntry
	Volumes []answers.Volume
	// Partly is why not all of the trash or of the volumes could be read; nil if all was.
	Partly error
}

// ReadTrash asks the controller for the trash. The error is of the entries that are missing in it.
func ReadTrash(ctx context.Context, ask inside.Ask, retention string) ([]answers.TrashEntry, error) {
	args := []string{"trash", "list"}
	if retention != "" {
		args = append(args, "--trash-retention="+retention)
	}
	return inside.List[answers.TrashEntry](ctx, ask, args...)
}

// Read reads the cluster and asks the controller. Nothing at all of the trash is an error; a part of it is Partly.
// The objects are read first: of what is deleted meanwhile they are still there. The trash is read before the volumes:
// what another process brings back meanwhile is in both lists, and not in neither.
func Read(ctx context.Context, client dynamic.Interface, ask inside.Ask, driver string) (*Found, error) {
	cluster, err := objects.ReadCluster(ctx, client, driver)
	if err != nil {
		return nil, err
	}
	f := &Found{Cluster: cluster}
	var errTrash, errVolumes error
	f.Entries, errTrash = ReadTrash(ctx, ask, "")
	f.Volumes, errVolumes = inside.List[answers.Volume](ctx, ask, "volume", "list")
	f.Partly = errors.Join(errTrash, errVolumes)
	if f.Partly != nil && f.Entries == nil && f.Volumes == nil {
		return nil, f.Partly
	}
	return f, nil
}

// candidates are by the claim that they were made for, as namespace/name; what was made for an unknown one is below "".
func (f *Found) candidates() map[string][]Candidate {
	all := map[string][]Candidate{}
	hasPV, isBegun := map[string]bool{}, map[string]bool{}
	for i := range f.PVs {
		c, claim := f.ofPV(&f.PVs[i])
		hasPV[c.Volume] = true
		if claim != "" {
			isBegun[c.Entry] = c.isBegun
			all[claim] = append(all[claim], c)
		}
	}
	for _, e := range f.Entries {
		if isBegun[e.Entry] || e.Others { // a claim of that name in another Kubernetes cluster
			continue
		}
		all[claimKey(e.MadeFor)] = append(all[claimKey(e.MadeFor)], Candidate{
			Source: Trash, Entry: e.Entry, Volume: e.Volume, Name: e.Name, Capacity: e.Capacity, Deleted: &e.Deleted,
			Unrestorable: e.Unrestorable, isTrashed: true, madeFor: e.MadeFor, attributes: e.Attributes,
		})
	}
	for _, v := range f.Volumes {
		if hasPV[v.ID] || v.Others {
			continue
		}
		all[claimKey(v.MadeFor)] = append(all[claimKey(v.MadeFor)], Candidate{
			Source: Volume, Entry: v.ID, Volume: v.ID, Name: v.Name, Capacity: v.Capacity, madeFor: v.MadeFor, attributes: v.Attributes,
		})
	}
	return all
}

// otherOf is the other Kubernetes cluster that has something of a claim, or with this name; "" if none has.
func (f *Found) otherOf(claim, entry string) string {
	for _, e := range f.Entries {
		if e.Others && (claimKey(e.MadeFor) == claim || e.Entry == entry) {
			return e.Kubernetes
		}
	}
	for _, v := range f.Volumes {
		if v.Others && (claimKey(v.MadeFor) == claim || v.ID == entry) {
			return v.Kubernetes
		}
	}
	return ""
}

func claimKey(m *answers.MadeFor) string {
	if m == nil {
		return ""
	}
	return m.Namespace + "/" + m.Claim
}

// ofPV is a PersistentVolume of the driver and, if its claim is gone and it waits for it or is being deleted, that claim.
func (f *Found) ofPV(pv *unstructured.Unstructured) (c Candidate, claim string) {
	if objects.Text(pv, "spec", "csi", "driver") != f.Driver {
		return Candidate{}, ""
	}
	c = Candidate{Source: Waiting, Entry: objects.Text(pv, "spec", "csi", "volumeHandle"), Name: pv.GetName(), pv: pv, isGoing: isGoing(pv)}
	c.Volume = c.Entry
	if size, err := resource.ParseQuantity(objects.Text(pv, "spec", "capacity", "storage")); err == nil {
		c.Capacity = size.Value()
	}
	if from := pv.GetAnnotations()[Annotation]; from != "" && !c.isGoing {
		c.isBegun, c.Entry = true, from
		f.locate(&c)
	}
	if when, err := time.Parse(time.RFC3339, objects.Text(pv, "status", "lastPhaseTransitionTime")); err == nil && !c.isBegun {
		c.Deleted = &when
	}
	name := objects.Text(pv, "spec", "claimRef", "name")
	if name == "" {
		return c, ""
	}
	claim = objects.Text(pv, "spec", "claimRef", "namespace") + "/" + name
	uid := objects.Text(pv, "spec", "claimRef", "uid")
	switch have := f.Claims[claim]; {
	case have != nil && (uid == "" || string(have.GetUID()) == uid):
		return c, ""
	case uid == "" && !c.isBegun: // made by hand for a claim that nobody has made yet
		return c, ""
	}
	return c, claim
}

// locate finds the data of what was begun.
func (f *Found) locate(c *Candidate) {
	for _, e := range f.Entries {
		if e.Entry == c.Entry {
			c.isTrashed, c.Unrestorable = true, e.Unrestorable
			return
		}
	}
	switch {
	case slices.ContainsFunc(f.Volumes, func(v answers.Volume) bool { return v.ID == c.Volume }):
	case f.Partly != nil:
		c.Unrestorable = "nobody knows where its data is, as not all could be read"
	default:
		c.Unrestorable = "its data is gone"
	}
}

// isGoing says that a PersistentVolume is being deleted, and its data with it.
func isGoing(pv *unstructured.Unstructured) bool {
	phase := objects.Text(pv, "status", "phase")
	isLost := (phase == "Released" || phase == "Failed") && objects.Text(pv, "spec", "persistentVolumeReclaimPolicy") == "Delete"
	return isLost || pv.GetDeletionTimestamp() != nil
}
