// SPDX-License-Identifier: Apache-2.0

// Package apply carries a migration's plan out, one step after the other, and takes it back.
//
// A PersistentVolume's source cannot be changed, so the object is deleted and made again under its name. Its claim
// stays the object that it is: it goes Lost while its volume is away, and Bound again with the new one, whose claimRef
// has its uid (Kubernetes' volume binder; seen in TestTheOperatorsObjects). So there is no moment at which somebody who
// watches claims, or a StatefulSet, makes an empty one in its place.
//
//	record      ConfigMap with the old and the new object
//	retain      the old one's reclaim policy becomes Retain, so that nobody's deletion of it deletes data
//	state       removing: from here on, that the old one is missing means that the new one is to be made
//	delete      the old one, by its uid
//	release     Kubernetes' own finalizers of it: pv-protection waits for the claim to go, and that is to stay
//	create      the new one
//	state       done
//
// What to do next is always read from the cluster and the record, never remembered. So an interruption at any point is
// followed by going on there, from whichever machine (TestKilledBetweenAnyTwoChanges); and of two at once that do the
// same step one is refused by uid or resourceVersion (TestTwoAtOnce).
package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

var (
	volumes    = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
	claims     = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	pods       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// ErrInUse says that pods have a claim that is to be migrated. ErrLeft, that what was tried could not be done for a
// reason of the one volume that the text says; the others are done.
var (
	ErrInUse = errors.New("pods use what is to be migrated")
	ErrLeft  = errors.New("not done")
)

// Applier changes a cluster.
type Applier struct {
	Client    dynamic.Interface
	Namespace string // of the driver: its clusters file and the records are there
	// Say tells what is done, for people.
	Say func(format string, args ...any)
	// Step, if it is set, is called before each change; an error of it ends everything there.
	Step func(point string) error
	// Again plans again, of the cluster as it is then.
	Again func(ctx context.Context) (*migrate.Plan, error)
	// Wait says to wait for pods to go, and afterwards for claims to be bound, as long as the context allows.
	Wait bool
}

func (a *Applier) step(point string) error {
	if a.Step == nil {
		return nil
	}
	return a.Step(point)
}

// Apply does what is left of migrations that were begun, and then the plan. It begins nothing while pods have any of
// the claims: ErrInUse names them. After it has waited for them, plan is made again: what somebody has changed meanwhile
// stays so. Repeated after an interruption, or after it is done, it ends in the same state.
func (a *Applier) Apply(ctx context.Context, plan *migrate.Plan) error {
	had, err := a.records(ctx)
	if err != nil {
		return err
	}
	if err := noRollback(had); err != nil {
		return err
	}
	waited, err := a.freed(ctx, slices.Concat(claimsOf(plan), unfinished(had)))
	if err != nil {
		return err
	}
	if waited {
		again, err := a.Again(ctx)
		if err != nil {
			return err
		}
		*plan = *again
		return a.Apply(ctx, plan)
	}
	if err := a.setClusters(ctx, plan.ClustersFile); err != nil {
		return err
	}
	left, err := a.doAll(ctx, had, toRecord(plan))
	if err != nil {
		return err
	}
	return errors.Join(left, a.bound(ctx, gluster.Unique(slices.Concat(claimsOf(plan), unfinished(had)))))
}

// noRollback is an error while a rollback is not finished.
func noRollback(had []*record) error {
	for _, r := range had {
		if r.state == restoring {
			return fmt.Errorf("a rollback has been begun and is not finished (%s %s): repeat it with --rollback", r.kind, r.of)
		}
	}
	return nil
}

// doAll does what was begun, and then what is new. left is an ErrLeft of each that could not be done; err ends it.
func (a *Applier) doAll(ctx context.Context, had, wanted []*record) (left, err error) {
	begun := slices.DeleteFunc(slices.Clone(had), func(r *record) bool { return r.state == done || r.kind == ofClusters })
	for _, r := range begun {
		a.Say("going on with %s %s", r.kind, r.of)
	}
	for _, r := range append(begun, wanted...) {
		if r.name == "" {
			name := recordName(r.kind, r.of)
			if slices.ContainsFunc(begun, func(b *record) bool { return b.name == name }) {
				continue // that was this one
			}
			if r, err = a.begin(ctx, r); err != nil {
				return left, err
			}
		}
		if err := a.finish(ctx, r); errors.Is(err, ErrLeft) {
			left = errors.Join(left, err)
		} else if err != nil {
			return left, err
		}
	}
	return left, nil
}

// toRecord is what a plan has to do beside the clusters file.
func toRecord(plan *migrate.Plan) []*record {
	var all []*record
	for _, v := range plan.Volumes {
		if v.Action != migrate.Replace {
			continue
		}
		old, errOld := encode(v.Old.Content)
		replacement, err := encode(v.PersistentVolume)
		if errors.Join(errOld, err) == nil { // it was JSON before
			all = append(all, &record{kind: ofVolume, of: v.Name, old: old, new: replacement})
		}
	}
	for _, i := range plan.Inline {
		if i.Action != migrate.Replace || i.PersistentVolume == nil {
			continue
		}
		both, err := encode(map[string]any{"apiVersion": "v1", "kind": "List", "items": []any{i.PersistentVolume, i.PersistentVolumeClaim}})
		if err == nil {
			name := unstructured.Unstructured{Object: i.PersistentVolume}
			all = append(all, &record{kind: ofInline, of: name.GetName(), new: both})
		}
	}
	return all
}

func (a *Applier) finish(ctx context.Context, r *record) error {
	switch {
	case r.state == done:
		return a.stays(ctx, r)
	case r.kind == ofInline:
		return a.makeInline(ctx, r)
	}
	return a.replace(ctx, r)
}

// claim is one by its namespace and name.
type claim struct{ namespace, name string }

func claimsOf(plan *migrate.Plan) []claim {
	var all []claim
	for _, v := range plan.Volumes {
		if v.Action == migrate.Replace && v.Claim != nil {
			all = append(all, claim{v.Claim.Namespace, v.Claim.Name})
		}
	}
	return all
}

// unfinished are the claims of volumes that were begun.
func unfinished(had []*record) []claim {
	var all []claim
	for _, r := range had {
		if r.state != done && r.kind == ofVolume {
			all = append(all, claimOf(r)...)
		}
	}
	return all
}

// claimOf is the claim of a record's volume, if it has one.
func claimOf(r *record) []claim {
	u, err := decode(r.new)
	if err != nil {
		return nil
	}
	name := text(u, "spec", "claimRef", "name")
	if name == "" {
		return nil
	}
	return []claim{{text(u, "spec", "claimRef", "namespace"), name}}
}

// free returns nil if no pod has any of the claims, ErrInUse with the pods if some have.
func (a *Applier) free(ctx context.Context, wanted []claim) error {
	_, err := a.freed(ctx, wanted)
	return err
}

// freed is free, and says whether it has waited.
func (a *Applier) freed(ctx context.Context, wanted []claim) (waited bool, err error) {
	for said := ""; ; waited = true {
		using, err := a.using(ctx, wanted)
		if err != nil || len(using) == 0 {
			return waited, err
		}
		err = inUse(using)
		if !a.Wait {
			return waited, err
		}
		if now := err.Error(); now != said {
			a.Say("waiting: %s", now)
			said = now
		}
		if !pause(ctx) {
			return waited, fmt.Errorf("%w (waited as long as --timeout says)", err)
		}
	}
}

func inUse(using []string) error { return fmt.Errorf("%w: %s", ErrInUse, strings.Join(using, "; ")) }

// using lists the pods that have one of the claims and have not ended. A pod that waits for its volume counts: it may
// get it at any moment.
func (a *Applier) using(ctx context.Context, wanted []claim) ([]string, error) {
	byNamespace := map[string][]string{}
	for _, c := range wanted {
		byNamespace[c.namespace] = append(byNamespace[c.namespace], c.name)
	}
	var found []string
	for namespace, names := range byNamespace {
		list, err := a.Client.Resource(pods).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list the pods of namespace %s: %w", namespace, err)
		}
		for i := range list.Items {
			for _, used := range claimsOfPod(&list.Items[i]) {
				if slices.Contains(names, used) {
					found = append(found, fmt.Sprintf("pod %s/%s has claim %s", namespace, list.Items[i].GetName(), used))
				}
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

func claimsOfPod(pod *unstructured.Unstructured) []string {
	if phase := text(pod, "status", "phase"); phase == "Succeeded" || phase == "Failed" {
		return nil
	}
	list, _, _ := unstructured.NestedSlice(pod.Object, "spec", "volumes")
	var found []string
	for _, item := range list {
		volume, _ := item.(map[string]any)
		if name, _, _ := unstructured.NestedString(volume, "persistentVolumeClaim", "claimName"); name != "" {
			found = append(found, name)
		}
		if volume["ephemeral"] != nil {
			found = append(found, fmt.Sprintf("%s-%v", pod.GetName(), volume["name"]))
		}
	}
	return found
}

// interval is between two looks at what is waited for.
const interval = 500 * time.Millisecond

// pause waits for a moment; false: the context has ended.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(interval):
		return true
	}
}
