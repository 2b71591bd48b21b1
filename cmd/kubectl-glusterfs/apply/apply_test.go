// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

const clustersBefore = "# by hand\nclusters:\n  - {name: other, servers: [10.9.9.9], volumes: [elsewhere]}\n"

// old is a volume of the removed plugin with its claim, and a pod template with another.
const old = `
apiVersion: v1
kind: Endpoints
metadata: {name: servers, namespace: shop}
subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 1}]}]
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: cache, uid: "1"}
spec:
  accessModes: [ReadWriteMany]
  capacity: {storage: 2Gi}
  claimRef: {namespace: shop, name: cache, uid: "2"}
  glusterfs: {endpoints: servers, path: gv0/cache}
  persistentVolumeReclaimPolicy: Retain
status: {phase: Bound}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: cache, namespace: shop, uid: "2"}
spec: {accessModes: [ReadWriteMany], volumeName: cache, storageClassName: "", resources: {requests: {storage: 2Gi}}}
status: {phase: Bound}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      containers: [{name: web, image: web}]
      volumes: [{name: html, glusterfs: {endpoints: servers, path: gv0/html}}]
`

// site is a cluster with the driver and what is old.
type site struct {
	*testing.T
	client *fake.FakeDynamicClient
	said   strings.Builder
}

func newSite(t *testing.T) *site {
	t.Helper()
	all := []runtime.Object{&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"namespace": "glusterfs-csi", "name": migrate.ClustersConfigMap},
		"data": map[string]any{migrate.ClustersKey: clustersBefore},
	}}}
	for _, o := range read(t, old) {
		all = append(all, &unstructured.Unstructured{Object: o.Content})
	}
	return &site{T: t, client: fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, all...)}
}

var kinds = map[schema.GroupVersionResource]string{
	volumes: "PersistentVolumeList", claims: "PersistentVolumeClaimList", pods: "PodList", configMaps: "ConfigMapList",
	{Version: "v1", Resource: "endpoints"}: "EndpointsList", {Group: "apps", Version: "v1", Resource: "deployments"}: "DeploymentList",
}

func read(t *testing.T, text string) []migrate.Object {
	t.Helper()
	objects, findings, err := migrate.ReadFiles(fstest.MapFS{"x.yaml": {Data: []byte(text)}})
	if err != nil || len(findings) > 0 {
		t.Fatal(findings, err)
	}
	return objects
}

// plan reads the cluster as it is.
func (s *site) plan(ctx context.Context) (*migrate.Plan, error) {
	var objects []migrate.Object
	for kind := range kinds {
		list, err := s.client.Resource(kind).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for _, item := range list.Items {
			objects = append(objects, migrate.Object{Content: item.Object})
		}
	}
	return migrate.Make(objects, nil, migrate.Options{Live: true}), nil
}

func (s *site) applier() *Applier {
	return &Applier{Client: s.client, Namespace: "glusterfs-csi", Say: func(format string, args ...any) { fmt.Fprintf(&s.said, format+"\n", args...) }}
}

// apply plans, and does it.
func (s *site) apply() error {
	s.Helper()
	plan, err := s.plan(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return s.applier().Apply(s.Context(), plan)
}

// edit is somebody's change of an object.
func (s *site) edit(kind schema.GroupVersionResource, namespace, name string, change func(u *unstructured.Unstructured)) {
	s.Helper()
	u := s.get(kind, namespace, name)
	change(u)
	if _, err := s.client.Resource(kind).Namespace(namespace).Update(s.Context(), u, metav1.UpdateOptions{}); err != nil {
		s.Fatal(err)
	}
}

func (s *site) get(kind schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured {
	s.Helper()
	u, err := s.client.Resource(kind).Namespace(namespace).Get(s.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return u
}

// addCluster is somebody's new cluster in the clusters file.
func (s *site) addCluster() {
	s.Helper()
	s.edit(configMaps, "glusterfs-csi", migrate.ClustersConfigMap, func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, s.clusters()+"  - {name: added, servers: [10.8.8.8], volumes: [new]}\n", "data", migrate.ClustersKey)
	})
}

// addOld adds a volume of the removed plugin, on servers of its own.
func (s *site) addOld(name, servers, address string) {
	s.Helper()
	other := strings.NewReplacer("name: cache", "name: "+name, "volumeName: cache", "volumeName: "+name, "10.0.0.1", address,
		"name: servers", "name: "+servers, "endpoints: servers", "endpoints: "+servers)
	for _, o := range read(s.T, other.Replace(old)) {
		kind := volumes
		switch o.Content["kind"] {
		case "Endpoints":
			kind.Resource = "endpoints"
		case "PersistentVolumeClaim":
			kind = claims
		case "Deployment":
			continue
		}
		u := &unstructured.Unstructured{Object: o.Content}
		if _, err := s.client.Resource(kind).Namespace(u.GetNamespace()).Create(s.Context(), u, metav1.CreateOptions{}); err != nil {
			s.Fatal(err)
		}
	}
}

func (s *site) clusters() string {
	s.Helper()
	return text(s.get(configMaps, "glusterfs-csi", migrate.ClustersConfigMap), "data", migrate.ClustersKey)
}

// TestWhatIsChangedWhilePodsAreWaitedForStays: in the clusters file, in the new object, and in what a rollback restores.
func TestWhatIsChangedWhilePodsAreWaitedForStays(t *testing.T) {
	s := newSite(t)
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"namespace": "shop", "name": "web"},
		"spec": map[string]any{"volumes": []any{map[string]any{"name": "cache", "persistentVolumeClaim": map[string]any{"claimName": "cache"}}}},
	}}
	if _, err := s.client.Resource(pods).Namespace("shop").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	plan, err := s.plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := s.applier()
	a.Wait, a.Again = true, s.plan
	a.Say = func(format string, _ ...any) {
		if !strings.HasPrefix(format, "waiting: ") {
			return
		}
		s.addCluster()
		s.edit(volumes, "", "cache", func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{"tier": "fast"}) })
		if err := s.client.Resource(pods).Namespace("shop").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
	if err := a.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"other", "added", "servers"} {
		if !strings.Contains(s.clusters(), "name: "+name) {
			t.Errorf("cluster %s is not in\n%s", name, s.clusters())
		}
	}
	record := s.get(configMaps, "glusterfs-csi", recordName(ofVolume, "cache"))
	if s.get(volumes, "", "cache").GetLabels()["tier"] != "fast" || !strings.Contains(text(record, "data", "old"), "fast") {
		t.Errorf("the label is lost: %v; %s", s.get(volumes, "", "cache").GetLabels(), text(record, "data", "old"))
	}
}

// TestWhatWasMigratedBeforeAndIsBackIsSaid, as GitOps or a backup does it; and by the preview, too.
func TestWhatWasMigratedBeforeAndIsBackIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*site)
		want   string
	}{
		"the old volume": {func(s *site) {
			for _, o := range read(s.T, old) {
				if o.Content["kind"] == "PersistentVolume" {
					s.edit(volumes, "", "cache", func(u *unstructured.Unstructured) { u.Object = o.Content; u.SetUID("3") })
				}
			}
		}, "PersistentVolume cache"},
		"a deleted claim": {func(s *site) {
			if err := s.client.Resource(claims).Namespace("shop").Delete(s.Context(), "web-html", metav1.DeleteOptions{}); err != nil {
				s.Error(err)
			}
		}, "PersistentVolumeClaim web-html"},
		"nothing": {func(*site) {}, ""},
	} {
		s := newSite(t)
		if err := s.apply(); err != nil {
			t.Fatal(name, err)
		}
		test.change(s)
		plan, err := s.plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lines, previewed := s.applier().Preview(t.Context(), plan)
		if err := s.apply(); errors.Is(err, ErrLeft) != (test.want != "") || fmt.Sprint(previewed) != fmt.Sprint(err) || len(lines) > 0 {
			t.Errorf("%s: applied: %v; previewed: %v, %q", name, err, previewed, lines)
		} else if err != nil && !strings.Contains(err.Error(), test.want+" has been migrated before") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAPreviewBeginsNothingThatApplyRefuses: a rollback is not finished.
func TestAPreviewBeginsNothingThatApplyRefuses(t *testing.T) {
	s := newSite(t)
	if err := s.apply(); err != nil {
		t.Fatal(err)
	}
	s.edit(configMaps, "glusterfs-csi", recordName(ofVolume, "cache"), func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, string(restoring), "data", "state")
	})
	plan, err := s.plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines, previewed := s.applier().Preview(t.Context(), plan)
	if err := s.apply(); err == nil || fmt.Sprint(previewed) != err.Error() || len(lines) > 0 {
		t.Errorf("applied: %v; previewed: %v, %q", err, previewed, lines)
	}
}
