// SPDX-License-Identifier: Apache-2.0

package undelete

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

var (
	volumes    = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
	claims     = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	classes    = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}
)

// ErrRefused says that the driver ran a command, and it failed.
var ErrRefused = errors.New("the controller says")

// Ask runs a command of glusterfs-csi in the running controller and returns what it printed, also if it failed.
type Ask func(ctx context.Context, args ...string) ([]byte, error)

// Found is what there is.
type Found struct {
	Driver  string // its name in CSI
	Entries []answers.TrashEntry
	Volumes []answers.Volume
	// Partly is why not all of the trash or of the volumes could be read; nil if all was.
	Partly error

	pvs        []unstructured.Unstructured
	claims     map[string]*unstructured.Unstructured // by namespace/name
	namespaces map[string]*unstructured.Unstructured
	classes    []unstructured.Unstructured
}

// ReadTrash asks the controller for the trash. The error is of the entries that are missing in it.
func ReadTrash(ctx context.Context, ask Ask, retention string) ([]answers.TrashEntry, error) {
	args := []string{"trash", "list", "-o", "json"}
	if retention != "" {
		args = append(args, "--trash-retention="+retention)
	}
	return list[answers.TrashEntry](ctx, ask, args...)
}

// list reads what a command lists. One Gluster volume that is silent does not hide the others.
func list[T any](ctx context.Context, ask Ask, args ...string) ([]T, error) {
	text, failed := ask(ctx, args...)
	var items []T
	if len(text) == 0 && failed != nil {
		return nil, failed
	}
	if err := json.Unmarshal(text, &items); err != nil {
		return nil, errors.Join(failed, fmt.Errorf("the driver's answer is not understood: %w: is it of another version? See `kubectl glusterfs doctor`", err))
	}
	return items, failed
}

// Read reads the cluster and asks the controller. Nothing at all of the trash is an error; a part of it is Partly.
func Read(ctx context.Context, client dynamic.Interface, ask Ask, driver string) (*Found, error) {
	f := &Found{Driver: driver, claims: map[string]*unstructured.Unstructured{}, namespaces: map[string]*unstructured.Unstructured{}}
	var errTrash, errVolumes error
	f.Entries, errTrash = ReadTrash(ctx, ask, "")
	f.Volumes, errVolumes = list[answers.Volume](ctx, ask, "volume", "list", "-o", "json")
	f.Partly = errors.Join(errTrash, errVolumes)
	if f.Partly != nil && f.Entries == nil && f.Volumes == nil {
		return nil, f.Partly
	}
	for _, kind := range []struct {
		resource schema.GroupVersionResource
		add      func(u unstructured.Unstructured)
	}{
		{volumes, func(u unstructured.Unstructured) { f.pvs = append(f.pvs, u) }},
		{claims, func(u unstructured.Unstructured) { f.claims[u.GetNamespace()+"/"+u.GetName()] = &u }},
		{namespaces, func(u unstructured.Unstructured) { f.namespaces[u.GetName()] = &u }},
		{classes, func(u unstructured.Unstructured) { f.classes = append(f.classes, u) }},
	} {
		if err := each(ctx, client, kind.resource, kind.add); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// each calls a function with each object of a kind, in whatever namespace.
func each(ctx context.Context, client dynamic.Interface, kind schema.GroupVersionResource, add func(unstructured.Unstructured)) error {
	options := metav1.ListOptions{Limit: 500}
	for {
		page, err := client.Resource(kind).List(ctx, options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			options = metav1.ListOptions{} // all at once: what was added before is added again, and replaced or as before
			continue
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", kind.Resource, err)
		}
		for _, item := range page.Items {
			add(item)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

// candidates are by the claim that they were made for, as namespace/name; what was made for an unknown one is below "".
func (f *Found) candidates() map[string][]Candidate {
	all := map[string][]Candidate{}
	hasPV, isBegun := map[string]bool{}, map[string]bool{}
	for i := range f.pvs {
		c, claim := f.ofPV(&f.pvs[i])
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

// ofPV is a PersistentVolume of the driver and, if it waits for a claim that is gone, that claim.
func (f *Found) ofPV(pv *unstructured.Unstructured) (c Candidate, claim string) {
	if text(pv, "spec", "csi", "driver") != f.Driver {
		return Candidate{}, ""
	}
	c = Candidate{Source: Waiting, Entry: text(pv, "spec", "csi", "volumeHandle"), Name: pv.GetName(), pv: pv}
	c.Volume = c.Entry
	if size, err := resource.ParseQuantity(text(pv, "spec", "capacity", "storage")); err == nil {
		c.Capacity = size.Value()
	}
	if from := pv.GetAnnotations()[Annotation]; from != "" {
		c.isBegun, c.Entry = true, from
		f.locate(&c)
	}
	if when, err := time.Parse(time.RFC3339, text(pv, "status", "lastPhaseTransitionTime")); err == nil && !c.isBegun {
		c.Deleted = &when
	}
	name := text(pv, "spec", "claimRef", "name")
	if name == "" || isGoing(pv) {
		return c, ""
	}
	claim = text(pv, "spec", "claimRef", "namespace") + "/" + name
	uid := text(pv, "spec", "claimRef", "uid")
	switch have := f.claims[claim]; {
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
	if f.Partly == nil && !slices.ContainsFunc(f.Volumes, func(v answers.Volume) bool { return v.ID == c.Volume }) {
		c.Unrestorable = "its data is gone"
	}
}

// isGoing says that a PersistentVolume is being deleted, and its data with it.
func isGoing(pv *unstructured.Unstructured) bool {
	phase := text(pv, "status", "phase")
	isLost := (phase == "Released" || phase == "Failed") && text(pv, "spec", "persistentVolumeReclaimPolicy") == "Delete"
	return isLost || pv.GetDeletionTimestamp() != nil
}

func text(u *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(u.Object, path...)
	return value
}
