// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic/fake"
	kubetesting "k8s.io/client-go/testing"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
)

// lost is a claim that has lost its PersistentVolume, and a process that makes it again.
func lost(t *testing.T) (*Found, *fake.FakeDynamicClient, *Doer) {
	t.Helper()
	f := found(volumeOf("pvc-1", "shop", "data"))
	f.apply(f.Plan(Wanted{}))
	f.Claims["shop/data"].SetUID("u-1")
	setPhase(t, f.Claims["shop/data"], "Lost")
	f.PVs = nil
	client := cluster(f)
	return f, client, &Doer{Client: client, Driver: driver, Say: t.Logf}
}

func setPhase(t *testing.T, of *unstructured.Unstructured, phase string) {
	t.Helper()
	if err := unstructured.SetNestedField(of.Object, phase, "status", "phase"); err != nil {
		t.Fatal(err)
	}
}

// bind is what Kubernetes' volume binder does.
func bind(t *testing.T, f *Found, client *fake.FakeDynamicClient, pv *unstructured.Unstructured) {
	t.Helper()
	claim := f.Claims["shop/data"].DeepCopy()
	setPhase(t, claim, "Bound")
	setPhase(t, pv, "Bound")
	if err := client.Tracker().Update(objects.Claims, claim, "shop"); err != nil {
		t.Fatal(err)
	}
}

// policies are those of the PersistentVolume: the one that it has, and the one that it is to have.
func policies(t *testing.T, client *fake.FakeDynamicClient) (*unstructured.Unstructured, [2]string) {
	t.Helper()
	pv, err := client.Resource(objects.Volumes).Get(t.Context(), "pvc-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pv, [2]string{objects.Text(pv, "spec", "persistentVolumeReclaimPolicy"), pv.GetAnnotations()["recover.glusterfs.csi.gluster.org/reclaim-policy"]}
}

// TestAVolumeOfALostClaimIsKeptUntilItIsBound: a claim that goes meanwhile must not take the data with it.
func TestAVolumeOfALostClaimIsKeptUntilItIsBound(t *testing.T) {
	f, client, d := lost(t)
	client.PrependReactor("create", "persistentvolumes", func(action kubetesting.Action) (bool, runtime.Object, error) {
		pv := action.(kubetesting.CreateAction).GetObject().(*unstructured.Unstructured)
		if policy := objects.Text(pv, "spec", "persistentVolumeReclaimPolicy"); policy != "Retain" || objects.Text(pv, "spec", "claimRef", "uid") != "u-1" {
			t.Errorf("it is made with the policy %s", policy)
		}
		bind(t, f, client, pv)
		return false, nil, nil
	})
	target := one(t, f.Plan(Wanted{}))
	if err := d.Volume(t.Context(), target); err != nil || target.State != Made {
		t.Fatalf("%v: %+v", err, target)
	}
	if _, has := policies(t, client); has != [2]string{"Delete", ""} {
		t.Errorf("it has %q", has)
	}
}

// TestThePolicyOfALostClaimIsFinishedByRepetition, and one that a person has set is left.
func TestThePolicyOfALostClaimIsFinishedByRepetition(t *testing.T) {
	f, client, d := lost(t)
	ask := func(_ context.Context, args ...string) ([]byte, error) {
		if args[0] == "volume" {
			return json.Marshal(f.Volumes)
		}
		return []byte("[]"), nil
	}
	again := func() *Target {
		read, err := Read(t.Context(), client, ask, driver)
		if err != nil {
			t.Fatal(err)
		}
		return one(t, read.Plan(Wanted{}))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel() // nobody binds it
	if err := d.Volume(over, again()); !errors.Is(err, ErrLeft) {
		t.Fatal(err)
	}
	pv, has := policies(t, client)
	if has != [2]string{"Retain", "Delete"} {
		t.Errorf("unbound it has %q", has)
	}
	target := again()
	if target.State != Missing || !slices.Equal(target.Missing, []string{policyKind}) || target.Policy != "Delete" {
		t.Errorf("unbound: %+v", target)
	}
	if err := d.Volume(over, target); !errors.Is(err, ErrLeft) {
		t.Error(err)
	}
	bind(t, f, client, pv)
	if err := client.Tracker().Update(objects.Volumes, pv, ""); err != nil {
		t.Fatal(err)
	}
	if err := d.Volume(over, again()); err != nil {
		t.Error(err)
	}
	pv, has = policies(t, client)
	if target := again(); has != [2]string{"Delete", ""} || target.State != There {
		t.Errorf("bound it has %q: %+v", has, target)
	}
	if err := unstructured.SetNestedField(pv.Object, "Retain", "spec", "persistentVolumeReclaimPolicy"); err != nil {
		t.Fatal(err)
	}
	if err := client.Tracker().Update(objects.Volumes, pv, ""); err != nil {
		t.Fatal(err)
	}
	if target := again(); target.State != There || target.Policy != "Retain" {
		t.Errorf("with a policy that a person has set: %+v", target)
	}
}
