// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Rollback restores what migrations have replaced, as it was but for what the API server itself sets, and removes what
// they have made. Data is not touched. It begins nothing while pods have any of the claims: ErrInUse names them. It ends
// with ErrLeft at an object that others keep from going. Repeated after an interruption, it goes on.
func (a *Applier) Rollback(ctx context.Context) error {
	had, err := a.records(ctx)
	if err != nil {
		return err
	}
	if len(had) == 0 {
		a.Say("nothing to roll back: namespace %s has no record of a migration", a.Namespace)
		return nil
	}
	var wanted []claim
	for _, r := range had {
		if r.kind == ofVolume {
			wanted = append(wanted, claimOf(r)...)
		}
	}
	if err := a.free(ctx, wanted); err != nil {
		return err
	}
	wasBound, err := a.boundNow(ctx, wanted)
	if err != nil {
		return err
	}
	slices.Reverse(had) // the clusters file last: volumes need it until they are gone
	for _, r := range had {
		switch r.kind {
		case ofVolume:
			err = a.restore(ctx, r)
		case ofInline:
			err = a.removeInline(ctx, r)
		case ofClusters:
			err = a.restoreClusters(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	return a.bound(ctx, wasBound)
}

// boundNow are those of the claims that have, or had, a volume: others may wait for one for ever.
func (a *Applier) boundNow(ctx context.Context, wanted []claim) ([]claim, error) {
	var found []claim
	for _, c := range wanted {
		u, err := a.Client.Resource(claims).Namespace(c.namespace).Get(ctx, c.name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, err
		}
		if err == nil && text(u, "spec", "volumeName") != "" {
			found = append(found, c)
		}
	}
	return found, nil
}

// restore makes the old PersistentVolume of a record stand in its place again.
func (a *Applier) restore(ctx context.Context, r *record) error {
	old, err := decode(r.old)
	if err != nil {
		return err
	}
	if r.state != restoring {
		if err := a.set(ctx, r, restoring); err != nil {
			return err
		}
	}
	for {
		live, err := a.Client.Resource(volumes).Get(ctx, r.of, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			err = a.createVolume(ctx, r, r.old, false)
		case err != nil:
			return fmt.Errorf("read PersistentVolume %s: %w", r.of, err)
		case isOf(live, r) || live.GetDeletionTimestamp() != nil:
			if err := a.free(ctx, claimOf(r)); err != nil {
				return err
			}
			err = a.deleteObject(ctx, volumes, "", live)
		case !isInTree(live):
			return fmt.Errorf("PersistentVolume %s is another one than this migration made: rename or delete it, and repeat", r.of)
		case live.GetUID() == old.GetUID() && policyOf(live) != policyOf(old):
			err = a.setPolicy(ctx, r.of, live, policyOf(old)) // it was never removed
		default:
			a.Say("PersistentVolume %s is the old one again", r.of)
			return a.forget(ctx, r)
		}
		if err != nil {
			return err
		}
	}
}

func isInTree(u *unstructured.Unstructured) bool {
	_, found, _ := unstructured.NestedMap(u.Object, "spec", "glusterfs")
	return found
}

func policyOf(u *unstructured.Unstructured) string {
	return text(u, "spec", "persistentVolumeReclaimPolicy")
}

// text is the string at a path, or "".
func text(u *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(u.Object, path...)
	return value
}
