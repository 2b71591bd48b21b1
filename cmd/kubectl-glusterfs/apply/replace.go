// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// replace makes the new PersistentVolume of a record stand in the old one's place.
func (a *Applier) replace(ctx context.Context, r *record) error {
	old, err := decode(r.old)
	if err != nil {
		return err
	}
	for {
		live, err := a.Client.Resource(volumes).Get(ctx, r.of, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) && r.state == recorded:
			return fmt.Errorf("%w: PersistentVolume %s is gone, and not by this migration: its place stays empty. To have it again, "+
				"run --rollback; to give it up, delete ConfigMap %s/%s", ErrLeft, r.of, a.Namespace, r.name)
		case apierrors.IsNotFound(err):
			if err := a.createVolume(ctx, r, r.new, true); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("read PersistentVolume %s: %w", r.of, err)
		case isOf(live, r):
			a.Say("PersistentVolume %s is of the driver now", r.of)
			return a.set(ctx, r, done)
		case live.GetUID() != old.GetUID():
			return fmt.Errorf("%w: PersistentVolume %s is another one than the one that was recorded: to give that up, delete ConfigMap %s/%s", ErrLeft, r.of, a.Namespace, r.name)
		default:
			if err := a.remove(ctx, r, live); err != nil {
				return err
			}
		}
	}
}

// remove does the next step towards the old PersistentVolume's being gone.
func (a *Applier) remove(ctx context.Context, r *record, live *unstructured.Unstructured) error {
	if err := isReleasable(live); err != nil {
		return err
	}
	if policyOf(live) != "Retain" {
		return a.setPolicy(ctx, r.of, live, "Retain")
	}
	if err := a.free(ctx, claimOf(r)); err != nil {
		return err
	}
	if r.state == recorded {
		return a.set(ctx, r, removing)
	}
	return a.deleteObject(ctx, volumes, "", live)
}

// setPolicy changes what becomes of the data when a claim is deleted.
func (a *Applier) setPolicy(ctx context.Context, name string, live *unstructured.Unstructured, policy string) error {
	if err := a.step("policy " + name); err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"metadata":{"uid":%q,"resourceVersion":%q},"spec":{"persistentVolumeReclaimPolicy":%q}}`, live.GetUID(), live.GetResourceVersion(), policy)
	_, err := a.Client.Resource(volumes).Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if apierrors.IsConflict(err) {
		return nil // it is read again
	}
	if err != nil {
		return fmt.Errorf("set the reclaim policy of PersistentVolume %s: %w", name, err)
	}
	a.Say("PersistentVolume %s: reclaim policy %s", name, policy)
	return nil
}

// isReleasable returns nil if all finalizers of an object are Kubernetes' own, ErrLeft with the others if not: it would not
// go before whoever put them there has removed them.
func isReleasable(live *unstructured.Unstructured) error {
	foreign := slices.DeleteFunc(live.GetFinalizers(), isOwnFinalizer)
	if len(foreign) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s %s has the finalizer %s, which is not Kubernetes' own: end or configure what put it there, "+
		"so that it removes it, and repeat", ErrLeft, live.GetKind(), live.GetName(), strings.Join(foreign, ", "))
}

func isOwnFinalizer(f string) bool { return migrate.OwnFinalizer(f) || f == claimProtection }

// deleteObject does the next step towards this very object's being gone: the deletion, or the release of Kubernetes'
// own finalizers. ErrLeft: it has others.
func (a *Applier) deleteObject(ctx context.Context, resource schema.GroupVersionResource, namespace string, live *unstructured.Unstructured) error {
	if err := isReleasable(live); err != nil {
		return err
	}
	what := fmt.Sprintf("%s %s", live.GetKind(), live.GetName())
	client := a.Client.Resource(resource).Namespace(namespace)
	if live.GetDeletionTimestamp() == nil {
		if err := a.step("delete " + what); err != nil {
			return err
		}
		uid := live.GetUID()
		err := client.Delete(ctx, live.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil // it is read again
		}
		if err == nil {
			a.Say("%s: deleted", what)
		}
		return err
	}
	if err := a.step("release " + what); err != nil {
		return err
	}
	released := live.DeepCopy()
	released.SetFinalizers(slices.DeleteFunc(live.GetFinalizers(), isOwnFinalizer))
	_, err := client.Update(ctx, released, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// claimProtection keeps a claim while pods have it, which is looked at here before.
const claimProtection = "kubernetes.io/pvc-protection"

// createVolume makes a PersistentVolume from a record. marked says that it is one of the migration's own.
func (a *Applier) createVolume(ctx context.Context, r *record, text []byte, marked bool) error {
	u, err := decode(text)
	if err != nil {
		return err
	}
	clean(u)
	if marked {
		mark(u, r)
	}
	if err := a.claimRef(ctx, u); err != nil {
		return err
	}
	if err := a.step("create " + r.of); err != nil {
		return err
	}
	_, err = a.Client.Resource(volumes).Create(ctx, u, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make PersistentVolume %s: %w (its record is ConfigMap %s/%s; repeat, or run --rollback)", r.of, err, a.Namespace, r.name)
	}
	return nil
}

// claimRef gives a volume its claim's uid, if the claim asks for this volume: only so does a claim that is Lost become
// Bound again. Where there is no such claim, a deletion of the volume's must not lead to one of its data.
func (a *Applier) claimRef(ctx context.Context, volume *unstructured.Unstructured) error {
	namespace, name := text(volume, "spec", "claimRef", "namespace"), text(volume, "spec", "claimRef", "name")
	if name == "" {
		return nil
	}
	found, err := a.Client.Resource(claims).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read claim %s/%s: %w", namespace, name, err)
	}
	if err == nil && text(found, "spec", "volumeName") == volume.GetName() {
		return unstructured.SetNestedField(volume.Object, string(found.GetUID()), "spec", "claimRef", "uid")
	}
	policy := policyOf(volume)
	if text(volume, "spec", "claimRef", "uid") != "" && policy != "Retain" {
		a.Say("PersistentVolume %s: its claim %s/%s is gone, so its reclaim policy stays Retain and does not become %s", volume.GetName(), namespace, name, policy)
		return unstructured.SetNestedField(volume.Object, "Retain", "spec", "persistentVolumeReclaimPolicy")
	}
	return nil
}

// clean removes what the server says of an object.
func clean(u *unstructured.Unstructured) {
	delete(u.Object, "status")
	for _, key := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink"} {
		unstructured.RemoveNestedField(u.Object, "metadata", key)
	}
}

// mark says on an object that it is a record's.
func mark(u *unstructured.Unstructured, r *record) {
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[recordAnnotation] = r.name
	u.SetAnnotations(annotations)
}

func isOf(u *unstructured.Unstructured, r *record) bool {
	return u.GetAnnotations()[recordAnnotation] == r.name
}
