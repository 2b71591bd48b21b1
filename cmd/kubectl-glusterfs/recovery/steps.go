// SPDX-License-Identifier: Apache-2.0

package recovery

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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
)

// Doer makes what is missing.
type Doer struct {
	Client dynamic.Interface
	Ask    inside.Ask
	Driver string // its name in CSI
	// Say tells what is done, for people.
	Say func(format string, args ...any)
	// Step, if it is set, is called before each change; an error of it ends everything there.
	Step func(point string) error

	namespaces map[string]bool // made by this run
}

func (d *Doer) step(what, of string) error {
	if d.Step == nil {
		return nil
	}
	return d.Step(what + " " + of)
}

// TakeOver has the driver make what another Kubernetes cluster had this one's. It returns after minutes. ErrLeft where the driver
// refuses.
func (d *Doer) TakeOver(ctx context.Context, kubernetes string) error {
	if err := d.step("take over", kubernetes); err != nil {
		return err
	}
	d.Say("looking for two minutes whether a controller of Kubernetes cluster %s still runs", kubernetes)
	output, err := d.Ask(ctx, "volume", "take-over", kubernetes)
	for line := range strings.Lines(string(output)) {
		d.Say("%s", strings.TrimSpace(line))
	}
	if errors.Is(err, inside.ErrRefused) {
		err = fmt.Errorf("%w: %w", ErrLeft, err)
	}
	return err
}

// Volume makes what a Missing target lacks, which it is Made then. ErrLeft says that somebody else has made something
// in its place, or that the API server refuses this one.
func (d *Doer) Volume(ctx context.Context, t *Target) error {
	if err := d.namespace(ctx, t.Missing, t.Namespace); err != nil {
		return err
	}
	var pv *unstructured.Unstructured
	var err error
	if slices.Contains(t.Missing, volumeKind) {
		pv, err = d.make(ctx, "volume", t.String(), objects.Volumes, t.wanted.PersistentVolume(), func(have *unstructured.Unstructured) bool {
			return objects.Text(have, "spec", "csi", "volumeHandle") == t.Volume && objects.Text(have, "spec", "claimRef", "name") == t.Claim &&
				objects.Text(have, "spec", "claimRef", "namespace") == t.Namespace
		})
	} else {
		pv, err = d.Client.Resource(objects.Volumes).Get(ctx, t.Name, metav1.GetOptions{})
		err = ofOne(t.String(), err)
	}
	if err == nil && slices.Contains(t.Missing, claimKind) {
		_, err = d.make(ctx, "claim", t.String(), objects.Claims, t.wanted.ClaimOf(pv), func(have *unstructured.Unstructured) bool {
			return objects.Text(have, "spec", "volumeName") == t.Name
		})
	}
	if err == nil && slices.Contains(t.Missing, policyKind) {
		err = d.policy(ctx, t)
	}
	if err == nil {
		t.State = Made
	}
	return err
}

// Snapshot makes what a Missing snapshot lacks, as Volume does.
func (d *Doer) Snapshot(ctx context.Context, s *Snapshot) error {
	err := d.namespace(ctx, s.Missing, s.Namespace)
	if err == nil && slices.Contains(s.Missing, contentKind) {
		_, err = d.make(ctx, "content", s.String(), snapshotContents, s.contentObject(d.Driver), func(have *unstructured.Unstructured) bool {
			return objects.Text(have, "spec", "source", "snapshotHandle") == s.Handle
		})
	}
	if err == nil && slices.Contains(s.Missing, snapshotKind) {
		_, err = d.make(ctx, "snapshot", s.String(), snapshotObjects, s.object(), func(have *unstructured.Unstructured) bool {
			return objects.Text(have, "spec", "source", "volumeSnapshotContentName") == s.Content
		})
	}
	if err == nil {
		s.State = Made
	}
	return err
}

// namespace makes one that is among what is missing, once.
func (d *Doer) namespace(ctx context.Context, missing []string, name string) error {
	if !slices.Contains(missing, namespaceKind) || d.namespaces[name] {
		return nil
	}
	_, err := d.make(ctx, "namespace", name, objects.Namespaces, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}, func(*unstructured.Unstructured) bool { return true })
	if d.namespaces == nil {
		d.namespaces = map[string]bool{}
	}
	d.namespaces[name] = err == nil
	return err
}

// make makes an object, or returns the one that is there, if it is the same: ErrLeft where it is not.
func (d *Doer) make(
	ctx context.Context, what, of string, kind schema.GroupVersionResource, wanted *unstructured.Unstructured, isSame func(*unstructured.Unstructured) bool,
) (*unstructured.Unstructured, error) {
	if err := d.step(what, of); err != nil {
		return nil, err
	}
	in := d.Client.Resource(kind).Namespace(wanted.GetNamespace())
	made, err := in.Create(ctx, wanted, metav1.CreateOptions{})
	if err == nil {
		d.Say("%s: %s %s is made", of, wanted.GetKind(), wanted.GetName())
		return made, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, ofOne(of, fmt.Errorf("make %s %s: %w", wanted.GetKind(), wanted.GetName(), err))
	}
	have, err := in.Get(ctx, wanted.GetName(), metav1.GetOptions{})
	if err == nil && !isSame(have) {
		err = fmt.Errorf("%w: %s: somebody has made another %s %s meanwhile: look at it, and repeat", ErrLeft, of, wanted.GetKind(), wanted.GetName())
	}
	return have, ofOne(of, err)
}

// ofOne is an error of the API server as an ErrLeft, where it is of this one object, as by a quota, an admission policy
// or a namespace that is being deleted. Of any other the next object would have the same.
func ofOne(of string, err error) error {
	switch {
	case err == nil || errors.Is(err, ErrLeft):
		return err
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsNotFound(err):
		return fmt.Errorf("%w: %s: %w", ErrLeft, of, err)
	}
	return fmt.Errorf("%s: %w: repeat, it goes on there", of, err)
}

// interval is between two looks at what is waited for.
const interval = 500 * time.Millisecond

// Bound waits until the claim is bound.
func (d *Doer) Bound(ctx context.Context, t *Target) error {
	phase := "not seen"
	for {
		have, err := d.Client.Resource(objects.Claims).Namespace(t.Namespace).Get(ctx, t.Claim, metav1.GetOptions{})
		if err != nil && ctx.Err() == nil {
			return ofOne(t.String(), err)
		}
		if err == nil {
			phase = objects.Text(have, "status", "phase")
		}
		if phase == "Bound" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s: the claim is %s after as long as --timeout says: kubectl -n %s describe pvc %s", ErrLeft, t, phase, t.Namespace, t.Claim)
		case <-time.After(interval):
		}
	}
}
