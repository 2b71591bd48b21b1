// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func TestTheManifestsAreWhatTheChartMakes(t *testing.T) {
	if err := run("../../..", true); err != nil {
		t.Error(err)
	}
}

func TestKustomizeBuildsWhatTheChartRenders(t *testing.T) {
	for dir, values := range map[string][]string{
		"base":                   {"pi-values.yaml"},
		"overlays/arm64":         {"pi-values.yaml", "arm64-values.yaml"},
		"overlays/snapshots":     {"pi-values.yaml", "snapshots-values.yaml"},
		"overlays/startup-taint": {"pi-values.yaml", "startup-taint-values.yaml"},
		"overlays/k0s":           {"pi-values.yaml", "k0s-values.yaml"},
		"overlays/tls":           {"pi-values.yaml", "tls-values.yaml"},
		"overlays/microk8s":      {"pi-values.yaml", "microk8s-values.yaml"},
		snapshotController.dir:   {"pi-values.yaml", snapshotController.values},
	} {
		t.Run(dir, func(t *testing.T) {
			buildsTheSame(t, kubernetesDir+dir, values, func(d document) bool {
				return dir != snapshotController.dir || slices.Contains(snapshotController.templates, d.file)
			})
		})
	}
}

// As docs/install.md has an operator put them together.
func TestComponentsGoTogether(t *testing.T) {
	for _, kubelet := range []string{"k0s", "microk8s"} {
		names := []string{kubelet, "arm64", "snapshots", "startup-taint", "tls"}
		if all := len(overlays); len(names) != all-1 {
			t.Fatalf("%q are not all of %d but one", names, all)
		}
		values, list := []string{"pi-values.yaml"}, []string{}
		for _, name := range names {
			values = append(values, name+"-values.yaml")
			list = append(list, "../components/"+name)
		}
		for range names { // in any order
			list = append(list[1:], list[0])
			dir := filepath.Join(t.TempDir(), "kubernetes")
			if err := os.CopyFS(dir, os.DirFS(kubernetesDir)); err != nil {
				t.Fatal(err)
			}
			text := kustomization("resources", []string{"../base"}) + entries("components", list)
			if err := write(dir, map[string]string{"mine/kustomization.yaml": text}); err != nil {
				t.Fatal(err)
			}
			buildsTheSame(t, filepath.Join(dir, "mine"), values, func(document) bool { return true })
		}
	}
}

const kubernetesDir = "../../../deploy/kubernetes/"

// buildsTheSame holds what kustomize builds of a directory to those documents that the chart renders with some values that isOf is true for.
func buildsTheSame(t *testing.T, dir string, values []string, isOf func(document) bool) {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	documents, err := render(chart, values...)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]any{}
	for _, d := range documents {
		if isOf(d) {
			want[d.key()] = d.object.Object
		}
	}
	for _, resource := range built.Resources() {
		object, err := resource.Map()
		if err != nil {
			t.Fatal(err)
		}
		key := document{object: unstructured.Unstructured{Object: object}}.key()
		if !reflect.DeepEqual(inOrder(decode(t, resource.MustYaml())), inOrder(decode(t, toYAML(t, want[key])))) {
			t.Errorf("%s is another:\n%s", key, resource.MustYaml())
		}
		delete(want, key)
	}
	for key := range maps.Keys(want) {
		t.Errorf("%s is missing", key)
	}
}

// inOrder sorts what has no order in a pod: kustomize puts what is an overlay's first.
func inOrder(object runtime.Object) runtime.Object {
	var pod *corev1.PodSpec
	switch o := object.(type) {
	case *appsv1.Deployment:
		pod = &o.Spec.Template.Spec
	case *appsv1.DaemonSet:
		pod = &o.Spec.Template.Spec
	default:
		return object
	}
	slices.SortFunc(pod.Containers, func(a, b corev1.Container) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(pod.Volumes, func(a, b corev1.Volume) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range pod.Containers {
		slices.SortFunc(c.VolumeMounts, func(a, b corev1.VolumeMount) int { return strings.Compare(a.MountPath, b.MountPath) })
	}
	return object
}

func toYAML(t *testing.T, object map[string]any) string {
	t.Helper()
	data, err := (&unstructured.Unstructured{Object: object}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
