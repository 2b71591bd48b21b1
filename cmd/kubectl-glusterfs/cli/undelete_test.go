// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubetesting "k8s.io/client-go/testing"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/undelete"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// TestNothingIsBroughtBackOfAPart: a Gluster volume that is silent may have what is newer, and the data of what was
// begun, which is then neither in the trash nor at its place.
func TestNothingIsBroughtBackOfAPart(t *testing.T) {
	begun := objects.Volume{
		Driver: migrate.DriverName, Handle: "pi/gv1/pvc-1", Name: "pvc-1", Namespace: "shop", Claim: "data", Class: "glusterfs", Policy: "Delete",
		Annotations: map[string]string{undelete.Annotation: "pi/gv1/pvc-1.2026"},
	}.PersistentVolume()
	namespace := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop"}}}
	for name, test := range map[string]struct {
		listed []string
		begun  *unstructured.Unstructured
		entry  string
	}{
		"of what was begun":    {nil, begun, ""},
		"of what may be older": {[]string{"shop"}, nil, ""},
		"where it was begun":   {nil, begun, "pi/gv1/pvc-1.2026"},
		"by another name":      {[]string{"shop"}, nil, "pi/gv1/pvc-1.2025"},
	} {
		client, site := newSite(&inside.ExitError{Code: 1, Stderr: "gv1 does not answer"}, test.listed...)
		_, err := client.Resource(objects.Namespaces).Create(t.Context(), namespace.DeepCopy(), metav1.CreateOptions{})
		if err == nil && test.begun != nil {
			_, err = client.Resource(objects.Volumes).Create(t.Context(), test.begun, metav1.CreateOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
		client.PrependReactor("create", "*", func(action kubetesting.Action) (bool, runtime.Object, error) {
			t.Errorf("%s: one of %s is made", name, action.GetResource().Resource)
			return false, nil, nil
		})
		var out, progress bytes.Buffer
		u := &undeletion{command: command{env: Environment{Out: &out, Err: &progress}, format: "table"}}
		err = u.undelete(t.Context(), site, undelete.Wanted{Namespace: "shop", Claims: []string{"data"}, Entry: test.entry})
		if !errors.Is(err, errLeft) || !strings.Contains(err.Error(), "nothing is brought back") || !strings.Contains(err.Error(), "gv1 does not answer") ||
			strings.Contains(err.Error(), "clusters file") || !strings.Contains(out.String(), "shop/data") {
			t.Errorf("%s: %v, %s", name, err, out.String())
		}
	}
}

// TestWhatIsNamedComesBackFromAPart: one damaged record, be it of another Kubernetes cluster, holds up nothing for ever.
func TestWhatIsNamedComesBackFromAPart(t *testing.T) {
	client, site := newSite(&inside.ExitError{Code: 1, Stderr: "pi/gv0: the record of pvc-9 is in split-brain"}, "shop")
	namespace := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop"}}}
	if _, err := client.Resource(objects.Namespaces).Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	wanted := undelete.Wanted{Namespace: "shop", Claims: []string{"data"}, Entry: "pi/gv0/pvc-shop"}
	for _, state := range []undelete.State{undelete.Back, undelete.There} { // it is repeated
		var out, progress bytes.Buffer
		u := &undeletion{command: command{env: Environment{Out: &out, Err: &progress}, format: "json"}}
		if err := u.undelete(t.Context(), site, wanted); err != nil || !strings.Contains(out.String(), `"state": "`+string(state)+`"`) {
			t.Errorf("%s: %v, %s", state, err, out.String())
		}
	}
	if _, err := client.Resource(objects.Claims).Namespace("shop").Get(t.Context(), "data", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}
