// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// part is one object that a record's migration makes.
type part struct {
	resource schema.GroupVersionResource
	object   *unstructured.Unstructured
}

// parts are the PersistentVolume and, of an inline volume, the claim.
func parts(r *record) ([]part, error) {
	u, err := decode(r.new)
	if err != nil {
		return nil, err
	}
	if r.kind == ofVolume {
		return []part{{volumes, u}}, nil
	}
	list, err := u.ToList()
	if err != nil {
		return nil, err
	}
	var found []part
	for i := range list.Items {
		resource := volumes
		if list.Items[i].GetKind() == "PersistentVolumeClaim" {
			resource = claims
		}
		found = append(found, part{resource, &list.Items[i]})
	}
	return found, nil
}

// makeInline makes the PersistentVolume and the claim for a volume of a pod template.
func (a *Applier) makeInline(ctx context.Context, r *record) error {
	all, err := parts(r)
	if err != nil {
		return err
	}
	for _, p := range all {
		client := a.Client.Resource(p.resource).Namespace(p.object.GetNamespace())
		mark(p.object, r)
		what := p.object.GetKind() + " " + p.object.GetName()
		if err := a.step("create " + what); err != nil {
			return err
		}
		_, err := client.Create(ctx, p.object, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			live, errGet := client.Get(ctx, p.object.GetName(), metav1.GetOptions{})
			if errGet == nil && isOf(live, r) {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("make %s: %w", what, err)
		}
		a.Say("%s: made", what)
	}
	return a.set(ctx, r, done)
}

// removeInline removes what makeInline has made: objects, no data. It is refused while pods have the claim.
func (a *Applier) removeInline(ctx context.Context, r *record) error {
	all, err := parts(r)
	if err != nil {
		return err
	}
	for i := len(all) - 1; i >= 0; i-- {
		p := all[i]
		for {
			live, err := a.Client.Resource(p.resource).Namespace(p.object.GetNamespace()).Get(ctx, p.object.GetName(), metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				break
			}
			if err != nil {
				return err
			}
			if !isOf(live, r) {
				a.Say("%s %s stays: it is not of this migration", live.GetKind(), live.GetName())
				break
			}
			if p.resource == claims {
				if err := a.free(ctx, []claim{{live.GetNamespace(), live.GetName()}}); err != nil {
					return err
				}
			}
			if err := a.deleteObject(ctx, p.resource, live.GetNamespace(), live); err != nil {
				return err
			}
		}
	}
	return a.forget(ctx, r)
}
