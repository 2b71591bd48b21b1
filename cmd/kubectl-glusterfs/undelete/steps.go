// SPDX-License-Identifier: Apache-2.0

package undelete

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// Doer brings claims back.
type Doer struct {
	Client dynamic.Interface
	Ask    inside.Ask
	Found  *Found
	// Say tells what is done, for people.
	Say func(format string, args ...any)
	// Step, if it is set, is called before each change; an error of it ends everything there.
	Step func(point string) error
}

func (d *Doer) step(what string, t *Target) error {
	if d.Step == nil {
		return nil
	}
	return d.Step(what + " " + t.String())
}

// Do brings a Ready target back, which it then is. ErrLeft says that somebody else has made something in its place.
func (d *Doer) Do(ctx context.Context, t *Target) error {
	pv, isMade, err := d.makeVolume(ctx, t)
	if err == nil && t.From.isTrashed {
		err = d.restore(ctx, t, pv, isMade)
	}
	if err == nil {
		err = d.makeClaim(ctx, t, pv)
	}
	if err == nil {
		t.State = Back
	}
	return err
}

// restore moves the data back. Where the driver refuses that, the PersistentVolume goes again if it was made here.
func (d *Doer) restore(ctx context.Context, t *Target, pv *unstructured.Unstructured, isMade bool) error {
	if err := d.step("restore", t); err != nil {
		return err
	}
	d.Say("%s: its data moves back from %s", t, t.From.Entry)
	err := d.askRestore(ctx, t)
	if err == nil || isBack(ctx, d, t) {
		return nil
	}
	if ctx.Err() != nil || !errors.Is(err, inside.ErrRefused) || strings.Contains(err.Error(), answers.Busy) {
		return fmt.Errorf("%s: %w: repeat, it goes on there", t, err)
	}
	if isMade {
		uid := pv.GetUID()
		gone := d.Client.Resource(objects.Volumes).Delete(ctx, pv.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		if gone != nil && !apierrors.IsNotFound(gone) {
			err = errors.Join(err, gone)
		}
	}
	return fmt.Errorf("%w: %s: %w", ErrLeft, t, err)
}

// busyFor is for how long another process that is at the same entry is waited for, be it that it was killed: the driver leaves
// what was begun to who began it for ten seconds.
const busyFor = 30 * time.Second

// askRestore asks the driver until no other process is at the entry.
func (d *Doer) askRestore(ctx context.Context, t *Target) error {
	until := time.Now().Add(busyFor)
	for {
		_, err := d.Ask(ctx, "trash", "restore", t.From.Entry, "-o", "json")
		if err == nil || !strings.Contains(err.Error(), answers.Busy) || time.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(interval):
		}
	}
}

// isBack says that another process has moved the data back meanwhile.
func isBack(ctx context.Context, d *Doer, t *Target) bool {
	all, err := inside.List[answers.Volume](ctx, d.Ask, "volume", "list")
	return err == nil && slices.ContainsFunc(all, func(v answers.Volume) bool { return v.ID == t.From.Volume })
}

// makeVolume makes the PersistentVolume, and says whether it did, or gives the target the one that waits for a claim
// that is gone, which with --entry may be another.
func (d *Doer) makeVolume(ctx context.Context, t *Target) (pv *unstructured.Unstructured, isMade bool, err error) {
	pvs := d.Client.Resource(objects.Volumes)
	if t.From.Source == Waiting {
		if objects.Text(t.From.pv, "spec", "claimRef", "uid") == "" && isFor(t, t.From.pv) {
			return t.From.pv, false, nil
		}
		if err := d.step("free", t); err != nil {
			return nil, false, err
		}
		d.Say("%s: PersistentVolume %s is freed from the claim that is gone", t, t.From.Name)
		freed := t.From.pv.DeepCopy() // with its resourceVersion: of another's change since, this is refused
		reference := map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": t.Namespace, "name": t.Claim}
		if err := unstructured.SetNestedMap(freed.Object, reference, "spec", "claimRef"); err != nil {
			return nil, false, err
		}
		annotations := freed.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[Annotation] = t.From.Entry
		freed.SetAnnotations(annotations)
		pv, err = pvs.Update(ctx, freed, metav1.UpdateOptions{})
		return pv, false, err
	}
	if err := d.step("volume", t); err != nil {
		return nil, false, err
	}
	wanted := t.volume(d.Found.Driver).PersistentVolume()
	pv, err = pvs.Create(ctx, wanted, metav1.CreateOptions{})
	if err == nil {
		d.Say("%s: PersistentVolume %s is made", t, wanted.GetName())
		return pv, true, nil
	}
	if apierrors.IsAlreadyExists(err) {
		pv, err = pvs.Get(ctx, wanted.GetName(), metav1.GetOptions{})
		isSame := err == nil && objects.Text(pv, "spec", "csi", "volumeHandle") == t.From.Volume && isFor(t, pv)
		if err == nil && !isSame {
			return nil, false, fmt.Errorf("%w: %s: somebody has made PersistentVolume %s meanwhile; look at it, and repeat", ErrLeft, t, wanted.GetName())
		}
	}
	return pv, false, err
}

// isFor says that a PersistentVolume is for the target's claim.
func isFor(t *Target, pv *unstructured.Unstructured) bool {
	return objects.Text(pv, "spec", "claimRef", "namespace") == t.Namespace && objects.Text(pv, "spec", "claimRef", "name") == t.Claim
}

func (d *Doer) makeClaim(ctx context.Context, t *Target, pv *unstructured.Unstructured) error {
	if err := d.step("claim", t); err != nil {
		return err
	}
	in := d.Client.Resource(objects.Claims).Namespace(t.Namespace)
	_, err := in.Create(ctx, t.volume(d.Found.Driver).ClaimOf(pv), metav1.CreateOptions{})
	if err == nil {
		d.Say("%s: the claim is made", t)
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make claim %s: %w; its data is back, and PersistentVolume %s waits for it: repeat", t, err, pv.GetName())
	}
	have, err := in.Get(ctx, t.Claim, metav1.GetOptions{})
	if err == nil && objects.Text(have, "spec", "volumeName") != pv.GetName() {
		err = fmt.Errorf("%w: somebody has made another claim %s meanwhile; PersistentVolume %s with the data waits: delete that claim, and repeat", ErrLeft, t, pv.GetName())
	}
	return err
}

// interval is between two looks at what is waited for.
const interval = 500 * time.Millisecond

// Bound waits until the claim is bound.
func (d *Doer) Bound(ctx context.Context, t *Target) error {
	for said := false; ; said = true {
		have, err := d.Client.Resource(objects.Claims).Namespace(t.Namespace).Get(ctx, t.Claim, metav1.GetOptions{})
		if err != nil {
			return err
		}
		phase := objects.Text(have, "status", "phase")
		if phase == "Bound" {
			return nil
		}
		if !said {
			d.Say("%s: waiting for the volume binder", t)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: claim %s is %s after as long as --timeout says: kubectl -n %s describe pvc %s", ErrLeft, t, phase, t.Namespace, t.Claim)
		case <-time.After(interval):
		}
	}
}
