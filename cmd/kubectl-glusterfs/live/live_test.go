// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	discovery "k8s.io/client-go/discovery/fake"
	dynamic "k8s.io/client-go/dynamic/fake"
	kubetesting "k8s.io/client-go/testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// read is Read of an API server that has these kinds, and objects of them. Whose list fails is said by its resource.
func read(ctx context.Context, t *testing.T, failing map[string]error, objects ...runtime.Object) ([]migrate.Object, []migrate.Finding, error) {
	t.Helper()
	resources := []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{{Name: "persistentvolumes", Kind: "PersistentVolume"}, {Name: "configmaps", Kind: "ConfigMap"}}},
		{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{{Name: "deployments", Kind: "Deployment"}}},
		{GroupVersion: "example.com/v1", APIResources: []metav1.APIResource{{Name: "widgets", Kind: "Widget"}, {Name: "pods", Kind: "Pod"}}},
	}
	lists := map[schema.GroupVersionResource]string{}
	for _, list := range resources {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list.APIResources {
			list.APIResources[i].Verbs = []string{"list"}
			lists[group.WithResource(list.APIResources[i].Name)] = list.APIResources[i].Kind + "List"
		}
	}
	client := dynamic.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists, objects...)
	for resource, err := range failing {
		client.PrependReactor("list", resource, func(kubetesting.Action) (bool, runtime.Object, error) { return true, nil, err })
	}
	return Read(ctx, &discovery.FakeDiscovery{Fake: &kubetesting.Fake{Resources: resources}}, client)
}

// TestWhatCannotBeListedIsAFinding, unless nothing can be planned without it.
func TestWhatCannotBeListedIsAFinding(t *testing.T) {
	for name, err := range map[string]error{
		"a conversion webhook that is down":    apierrors.NewInternalError(errors.New("conversion webhook for example.com/v2: connection refused")),
		"an aggregated API that is down":       apierrors.NewServiceUnavailable("widgets"),
		"a server that does not know it":       apierrors.NewNotFound(schema.GroupResource{Resource: "widgets"}, ""),
		"a connection that ends in the middle": errors.New("unexpected EOF"),
	} {
		for _, resource := range []string{"widgets", "pods", "deployments"} {
			_, findings, failed := read(t.Context(), t, map[string]error{resource: err})
			if failed != nil || len(findings) != 1 || findings[0].Severity != migrate.ByHand || !strings.HasPrefix(findings[0].About, resource+".") || !strings.Contains(findings[0].Message, err.Error()) {
				t.Errorf("%s, of %s: %v, %+v", name, resource, failed, findings)
			}
		}
		if _, _, failed := read(t.Context(), t, map[string]error{"persistentvolumes": err}); !errors.Is(failed, err) {
			t.Errorf("%s, of PersistentVolumes: %v", name, failed)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, _, failed := read(ended, t, map[string]error{"widgets": context.Canceled}); !errors.Is(failed, context.Canceled) {
		t.Errorf("when nobody waits any more: %v", failed)
	}
}

// TestOfOtherGroupsLittleIsKept: of what has no volumes the name, by which a Deployment of an operator is its own.
func TestOfOtherGroupsLittleIsKept(t *testing.T) {
	widget := func(name string, spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": name, "namespace": "shop", "labels": map[string]any{"a": "b"}}, "spec": spec,
		}}
	}
	volume := []any{map[string]any{"name": "v", "glusterfs": map[string]any{"endpoints": "gfs", "path": "gv0"}}}
	whole := []*unstructured.Unstructured{
		widget("in-a-list", map[string]any{"tasks": []any{map[string]any{"volumes": volume}}}),
		widget("inline", map[string]any{"storage": map[string]any{"glusterfs": map[string]any{"endpoints": "gfs"}}}),
		widget("templates", map[string]any{"volumeClaimTemplates": []any{}}),
		{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web", "namespace": "shop"}, "spec": map[string]any{"replicas": int64(1)}}},
	}
	given := []runtime.Object{widget("other", map[string]any{"text": strings.Repeat("x", 1000)})}
	want := map[string]map[string]any{
		"other": {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "other", "namespace": "shop"}},
	}
	for _, u := range whole {
		given = append(given, u)
		want[u.GetName()] = u.Object
	}
	objects, findings, err := read(t.Context(), t, nil, given...)
	if err != nil || len(findings) > 0 || len(objects) != len(want) {
		t.Fatalf("%v, %+v, %+v", err, findings, objects)
	}
	for _, o := range objects {
		u := unstructured.Unstructured{Object: o.Content}
		if !reflect.DeepEqual(o.Content, want[u.GetName()]) {
			t.Errorf("%s is %v, want %v", u.GetName(), o.Content, want[u.GetName()])
		}
	}
}
