// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

const (
	repository = "../../.."
	cases      = repository + "/pkg/migrate/testdata"
)

var (
	volumes    = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
	claims     = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	pods       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

// world is what one test has made, and removes at its end.
type world struct {
	*testing.T
	made []made
}

type made struct {
	resource        schema.GroupVersionResource
	namespace, name string
}

// newWorld has the driver's own objects, as its manifests make them, with a clusters file that is of others.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	t.Cleanup(w.remove)
	for _, file := range []string{"namespace.yaml", "csidriver.yaml", "clusters.yaml"} {
		w.makeFile(repository + "/deploy/kubernetes/base/" + file)
	}
	w.edit(configMaps, "glusterfs-csi", migrate.ClustersConfigMap, func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, clustersBefore, "data", migrate.ClustersKey)
	})
	return w
}

const clustersBefore = "# by hand\nclusters:\n- {name: other, servers: [10.9.9.9], volumes: [elsewhere]}\n"

func (w *world) makeFile(file string) {
	w.Helper()
	dir, name := file[:strings.LastIndex(file, "/")], file[strings.LastIndex(file, "/")+1:]
	objects, _, err := migrate.ReadFiles(os.DirFS(dir))
	if err != nil {
		w.Fatal(err)
	}
	for _, o := range objects {
		if o.Source == name || strings.HasPrefix(o.Source, name+",") {
			w.make(o.Content, "default")
		}
	}
}

// makeCase makes the objects of a case of the planner's, those that an API server has the kinds of.
func (w *world) makeCase(name string) {
	w.Helper()
	objects, _, err := migrate.ReadFiles(os.DirFS(cases + "/" + name + "/objects"))
	if err != nil || len(objects) == 0 {
		w.Fatal(err, len(objects))
	}
	for _, o := range objects {
		w.make(o.Content, "default")
	}
}

// make makes one object, unless its kind is not one of Kubernetes or somebody has made it before. Its namespace is made
// with it.
func (w *world) make(content map[string]any, namespace string) {
	w.Helper()
	u := &unstructured.Unstructured{Object: content}
	mapping := w.mapping(u)
	if mapping == nil {
		return
	}
	if !mapping.isNamespaced {
		u.SetNamespace("")
	} else if u.GetNamespace() == "" {
		u.SetNamespace(namespace)
	}
	if ns := u.GetNamespace(); ns != "" && ns != "default" {
		w.make(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": ns}}, "")
	}
	u.SetResourceVersion("")
	u.SetUID("")
	if u.GetKind() == "PersistentVolume" || u.GetKind() == "PersistentVolumeClaim" { // what a binder has said elsewhere is not so here
		unstructured.RemoveNestedField(u.Object, "spec", "claimRef", "uid")
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations", "pv.kubernetes.io/bind-completed")
	}
	status, hasStatus := u.Object["status"]
	created, err := client.Resource(mapping.resource).Namespace(u.GetNamespace()).Create(w.Context(), u, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return
	}
	if err != nil {
		w.Fatalf("make %s %s: %v", u.GetKind(), u.GetName(), err)
	}
	w.made = append(w.made, made{mapping.resource, u.GetNamespace(), u.GetName()})
	if hasStatus && u.GetKind() == "PersistentVolume" {
		created.Object["status"] = status
		_, _ = client.Resource(mapping.resource).UpdateStatus(w.Context(), created, metav1.UpdateOptions{})
	}
}

type mapping struct {
	resource     schema.GroupVersionResource
	isNamespaced bool
}

func (w *world) mapping(u *unstructured.Unstructured) *mapping {
	w.Helper()
	groups, err := restmapper.GetAPIGroupResources(discovery.DiscoveryInterface(kinds))
	if err != nil {
		w.Fatal(err)
	}
	kind := u.GroupVersionKind()
	found, err := restmapper.NewDiscoveryRESTMapper(groups).RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil
	}
	return &mapping{found.Resource, found.Scope.Name() == "namespace"}
}

// remove deletes all of it, finalizers or not, and what migrations have left.
func (w *world) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, kind := range []schema.GroupVersionResource{pods, claims, volumes} {
		list, err := client.Resource(kind).List(ctx, metav1.ListOptions{})
		if err != nil {
			w.Error(err)
			continue
		}
		for _, item := range list.Items {
			w.made = append(w.made, made{kind, item.GetNamespace(), item.GetName()})
		}
	}
	for _, m := range slices.Backward(w.made) {
		if m.resource.Resource == "namespaces" {
			continue // only its content is in the way
		}
		if err := purge(ctx, m); err != nil {
			w.Errorf("remove %v: %v", m, err)
		}
	}
	if err := client.Resource(configMaps).Namespace("glusterfs-csi").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		w.Error(err)
	}
}

func purge(ctx context.Context, m made) error {
	c := client.Resource(m.resource).Namespace(m.namespace)
	now := int64(0)
	for {
		err := c.Delete(ctx, m.name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		u, err := c.Get(ctx, m.name, metav1.GetOptions{})
		if err == nil && len(u.GetFinalizers()) > 0 {
			u.SetFinalizers(nil)
			_, err = c.Update(ctx, u, metav1.UpdateOptions{})
		}
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
}

func (w *world) get(resource schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured {
	w.Helper()
	u, err := client.Resource(resource).Namespace(namespace).Get(w.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return u
}

func (w *world) list(resource schema.GroupVersionResource) []unstructured.Unstructured {
	w.Helper()
	list, err := client.Resource(resource).List(w.Context(), metav1.ListOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return list.Items
}

func (w *world) edit(resource schema.GroupVersionResource, namespace, name string, change func(*unstructured.Unstructured)) {
	w.Helper()
	for {
		u := w.get(resource, namespace, name)
		change(u)
		_, err := client.Resource(resource).Namespace(namespace).Update(w.Context(), u, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			w.Fatal(err)
		}
		return
	}
}

// await waits until a condition is true.
func (w *world) await(what string, is func() error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := is()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

func (w *world) phase(resource schema.GroupVersionResource, namespace, name, want string) {
	w.Helper()
	w.await(fmt.Sprintf("%s %s/%s is %s", resource.Resource, namespace, name, want), func() error {
		u := w.get(resource, namespace, name)
		if have, _, _ := unstructured.NestedString(u.Object, "status", "phase"); have != want {
			return errors.New("it is " + have)
		}
		return nil
	})
}

// snapshot is every PersistentVolume and claim, and the clusters file, as JSON without what the server sets.
func (w *world) snapshot() map[string]string {
	w.Helper()
	all := map[string]string{}
	for _, resource := range []schema.GroupVersionResource{volumes, claims} {
		list, err := client.Resource(resource).List(w.Context(), metav1.ListOptions{})
		if err != nil {
			w.Fatal(err)
		}
		for _, item := range list.Items {
			all[item.GetKind()+" "+item.GetNamespace()+"/"+item.GetName()] = asked(w, item)
		}
	}
	file := w.get(configMaps, "glusterfs-csi", migrate.ClustersConfigMap)
	all["clusters"] = asked(w, *file)
	return all
}

// asked is an object as somebody asked for it, byte for byte.
func asked(w *world, u unstructured.Unstructured) string {
	w.Helper()
	u = *u.DeepCopy()
	delete(u.Object, "status")
	for _, key := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"} {
		unstructured.RemoveNestedField(u.Object, "metadata", key)
	}
	text, err := json.MarshalIndent(u.Object, "", " ")
	if err != nil {
		w.Fatal(err)
	}
	return string(text)
}

func (w *world) same(when string, before, after map[string]string) {
	w.Helper()
	for key := range before {
		if after[key] != before[key] {
			w.Errorf("%s: %s was\n%s\nand is\n%s", when, key, before[key], after[key])
		}
	}
	for key := range after {
		if before[key] == "" {
			w.Errorf("%s: there is %s, which was not there before", when, key)
		}
	}
}

// records are the ConfigMaps that migrations have left.
func (w *world) records() int {
	w.Helper()
	list, err := client.Resource(configMaps).List(w.Context(), metav1.ListOptions{LabelSelector: "migrate.glusterfs.csi.gluster.org/record"})
	if err != nil {
		w.Fatal(err)
	}
	return len(list.Items)
}
