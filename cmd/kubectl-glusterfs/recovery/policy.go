// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
)

// retain is the policy of each VolumeSnapshotContent that is made here, and of some PersistentVolumes until they are
// bound.
const retain = "Retain"

// policyAnnotation is on a PersistentVolume that was made here and is not bound yet: the reclaim policy that it is to
// have.
const policyAnnotation = "recover.glusterfs.csi.gluster.org/reclaim-policy"

// errUnbound says of a claim that it is not bound yet.
var errUnbound = errors.New("the claim is not bound")

// boundFor is for how long a claim that was there is waited for. A later run finishes what is not bound until then.
const boundFor = 30 * time.Second

// keep is of a volume whose claim is there. Its PersistentVolume names the claim by its UID, and if that one goes
// meanwhile, Kubernetes takes it for one whose claim was deleted: with Delete the data would go. So it gets its policy
// when it is bound.
func (t *Target) keep() {
	if t.Policy == retain {
		return
	}
	t.wanted.Policy, t.wanted.Annotations = retain, map[string]string{policyAnnotation: t.Policy}
	t.Missing = append(t.Missing, policyKind)
}

// policy waits until a PersistentVolume that keep is of is bound, and gives it its policy.
func (d *Doer) policy(ctx context.Context, t *Target) error {
	ctx, cancel := context.WithTimeout(ctx, boundFor)
	defer cancel()
	for {
		err := d.setPolicy(ctx, t)
		isLate := errors.Is(err, errUnbound) || apierrors.IsConflict(err) || ctx.Err() != nil
		if err == nil || !isLate {
			return ofOne(t.String(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s: PersistentVolume %s has the policy %s until its claim is bound, which it is not yet: repeat when it is (kubectl -n %s describe pvc %s)",
				ErrLeft, t, t.Name, retain, t.Namespace, t.Claim)
		case <-time.After(interval):
		}
	}
}

// setPolicy is one look, and the change if it is time for it; errUnbound if it is not.
func (d *Doer) setPolicy(ctx context.Context, t *Target) error {
	pvs := d.Client.Resource(objects.Volumes)
	pv, err := pvs.Get(ctx, t.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	annotations := pv.GetAnnotations()
	policy := annotations[policyAnnotation]
	if policy == "" { // another run was faster
		return nil
	}
	claim, err := d.Client.Resource(objects.Claims).Namespace(t.Namespace).Get(ctx, t.Claim, metav1.GetOptions{})
	if err != nil {
		return err
	}
	isBound := objects.Text(pv, "status", "phase") == "Bound" && objects.Text(claim, "status", "phase") == "Bound" &&
		objects.Text(pv, "spec", "claimRef", "uid") == string(claim.GetUID())
	if !isBound {
		return errUnbound
	}
	if err := d.step("policy", t.String()); err != nil {
		return err
	}
	delete(annotations, policyAnnotation)
	pv.SetAnnotations(annotations)
	if err := unstructured.SetNestedField(pv.Object, policy, "spec", "persistentVolumeReclaimPolicy"); err != nil {
		return err
	}
	if _, err = pvs.Update(ctx, pv, metav1.UpdateOptions{}); err == nil {
		d.Say("%s: PersistentVolume %s has the policy %s", t, t.Name, policy)
	}
	return err
}
