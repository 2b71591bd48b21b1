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
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	chart = "../../../deploy/helm/glusterfs-csi"
	pi    = chart + "/ci/pi-values.yaml"
)

// decoder refuses fields that the API does not have.
var decoder = serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()

func decode(t *testing.T, text string) runtime.Object {
	t.Helper()
	object, _, err := decoder.Decode([]byte(text), nil, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return object
}

// rendered is what the chart makes with these further arguments, its tests included.
func rendered(t *testing.T, args ...string) []document {
	t.Helper()
	output, err := template(chart, append([]string{"-f", pi}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	documents, err := split(output)
	if err != nil {
		t.Fatal(err)
	}
	return documents
}

func find[T runtime.Object](t *testing.T, documents []document) T {
	t.Helper()
	var found T
	i := slices.IndexFunc(documents, func(d document) bool {
		object, ok := decode(t, d.text).(T)
		if ok {
			found = object
		}
		return ok
	})
	if i < 0 {
		t.Fatalf("the chart renders no %s", reflect.TypeFor[T]())
	}
	return found
}

func kinds(documents []document) []string {
	var all []string
	for _, d := range documents {
		all = append(all, d.object.GetKind()+"/"+d.object.GetName())
	}
	slices.Sort(all)
	return all
}

func TestEveryObjectIsOneThatTheAPIKnows(t *testing.T) {
	for name, args := range map[string][]string{
		"as it is":                   nil,
		"two controllers":            {"--set=controller.replicas=2"},
		"arm64":                      {"-f", chart + "/ci/arm64-values.yaml"},
		"in the release's namespace": {"--namespace=glusterfs-csi"},
		"MicroK8s":                   {"--set=kubeletDir=/var/snap/microk8s/common/var/lib/kubelet"},
		"pull secrets":               {"--set=imagePullSecrets[0].name=regcred"},
		"no class":                   {"--set=storageClasses=null"},
		"a class that says everything": {
			"--set=storageClasses[0].name=fast,storageClasses[0].default=true,storageClasses[0].mountOptions={acl}",
			"--set-string=storageClasses[0].parameters.uid=1001,storageClasses[0].parameters.mode=0750",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, d := range rendered(t, args...) {
				decode(t, d.text)
			}
		})
	}
}

func TestEveryExampleIsOneThatTheAPIKnows(t *testing.T) {
	files, err := filepath.Glob("../../../deploy/examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.SplitSeq(string(data), "\n---\n") {
			decode(t, text)
		}
	}
}

func TestTheChartHasJustTheseObjects(t *testing.T) {
	want := []string{
		"CSIDriver/glusterfs.csi.gluster.org", "ClusterRole/glusterfs-csi-provisioner", "ClusterRoleBinding/glusterfs-csi-provisioner",
		"ConfigMap/glusterfs-csi-clusters", "DaemonSet/glusterfs-csi-node", "Deployment/glusterfs-csi-controller", "Namespace/glusterfs-csi",
		"PersistentVolumeClaim/glusterfs-csi-test", "Pod/glusterfs-csi-test", "ServiceAccount/glusterfs-csi-controller", "ServiceAccount/glusterfs-csi-node",
		"StorageClass/glusterfs",
	}
	if got := kinds(rendered(t)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheChartMakesNoNamespaceThatTheReleaseIsIn(t *testing.T) {
	if got := kinds(rendered(t, "--namespace=glusterfs-csi")); slices.Contains(got, "Namespace/glusterfs-csi") {
		t.Errorf("got %v", got)
	}
}

func TestMoreControllersElectALeader(t *testing.T) {
	for replicas, want := range map[string]bool{"1": false, "2": true} {
		documents := rendered(t, "--set=controller.replicas="+replicas)
		elects := strings.Contains(strings.Join(container(t, find[*appsv1.Deployment](t, documents).Spec.Template.Spec, "provisioner").Args, " "), "--leader-election")
		if elects != want || slices.Contains(kinds(documents), "Role/glusterfs-csi-leader") != want {
			t.Errorf("%s replicas: leader election %t", replicas, elects)
		}
	}
}

func container(t *testing.T, pod corev1.PodSpec, name string) corev1.Container {
	t.Helper()
	i := slices.IndexFunc(pod.Containers, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no container %s", name)
	}
	return pod.Containers[i]
}

func TestOnlyWhatMountsIsPrivileged(t *testing.T) {
	documents := rendered(t)
	pods := []corev1.PodSpec{
		find[*appsv1.Deployment](t, documents).Spec.Template.Spec, find[*appsv1.DaemonSet](t, documents).Spec.Template.Spec, find[*corev1.Pod](t, documents).Spec,
	}
	for _, pod := range pods {
		for _, c := range pod.Containers {
			s := c.SecurityContext
			if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				t.Errorf("%s may write to its image", c.Name)
				continue
			}
			mounts := c.Name == "driver"
			if privileged := s.Privileged != nil && *s.Privileged; privileged != mounts {
				t.Errorf("%s: privileged %t", c.Name, privileged)
			}
			if !mounts && (s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || len(s.Capabilities.Drop) != 1) {
				t.Errorf("%s has powers that it does not need", c.Name)
			}
		}
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Error("every container has the token")
		}
	}
}

func TestControllerAndNodeFitOnOneNode(t *testing.T) {
	documents := rendered(t)
	controller := container(t, find[*appsv1.Deployment](t, documents).Spec.Template.Spec, "driver")
	node := container(t, find[*appsv1.DaemonSet](t, documents).Spec.Template.Spec, "driver")
	if controller.Ports[0].ContainerPort == node.Ports[0].ContainerPort {
		t.Error("both want the same port of the node's network")
	}
}

func TestTheProvisionerWaitsLongerThanPingTimeout(t *testing.T) {
	for _, arg := range container(t, find[*appsv1.Deployment](t, rendered(t)).Spec.Template.Spec, "provisioner").Args {
		if value, ok := strings.CutPrefix(arg, "--timeout="); ok {
			if timeout, err := time.ParseDuration(value); err != nil || timeout < 60*time.Second {
				t.Errorf("%s: %v", arg, err)
			}
			return
		}
	}
	t.Error("no --timeout")
}

func TestTheNodePluginSeesKubeletsDirectoryUnderItsOwnPath(t *testing.T) {
	const dir = "/var/snap/microk8s/common/var/lib/kubelet"
	pod := find[*appsv1.DaemonSet](t, rendered(t, "--set=kubeletDir="+dir)).Spec.Template.Spec
	driver := container(t, pod, "driver")
	bidirectional := map[string]bool{}
	for _, m := range driver.VolumeMounts {
		if m.MountPropagation != nil && *m.MountPropagation == corev1.MountPropagationBidirectional {
			bidirectional[m.MountPath] = true
		}
	}
	if !bidirectional[dir] || !bidirectional["/var/lib/glusterfs-csi"] || len(bidirectional) != 2 {
		t.Errorf("propagated: %v", bidirectional)
	}
	if args := strings.Join(driver.Args, " "); !strings.Contains(args, "--kubelet-dir="+dir) || !strings.Contains(args, "unix://"+dir+"/plugins/") {
		t.Errorf("arguments: %s", args)
	}
	if i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.HostPath != nil && v.HostPath.Path == dir }); i < 0 {
		t.Error("another directory of the node is mounted")
	}
}

func TestTheClassIsNotTheDefaultUnlessAsked(t *testing.T) {
	const key = "storageclass.kubernetes.io/is-default-class"
	if a := find[*storagev1.StorageClass](t, rendered(t)).Annotations; a[key] != "" {
		t.Errorf("%v", a)
	}
	if a := find[*storagev1.StorageClass](t, rendered(t, "--set=storageClasses[0].name=x,storageClasses[0].default=true")).Annotations; a[key] != "true" {
		t.Errorf("%v", a)
	}
}

func TestValuesThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		word string
	}{
		"no cluster":                {[]string{"--set=clusters=null"}, "clusters"},
		"a cluster without servers": {[]string{"--set=clusters[0].name=pi,clusters[0].servers={},clusters[0].volumes={gv0}"}, "servers"},
		"a misspelt key":            {[]string{"--set=kubletDir=/x"}, "kubletDir"},
		"a misspelt parameter":      {[]string{"--set=storageClasses[0].name=x", "--set-string=storageClasses[0].parameters.udi=1"}, "udi"},
		"a number for a parameter":  {[]string{"--set=storageClasses[0].name=x,storageClasses[0].parameters.uid=1001"}, "uid"},
		"a relative kubelet dir":    {[]string{"--set=kubeletDir=var/lib/kubelet"}, "kubeletDir"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template(chart, append([]string{"-f", pi}, test.args...)...)
			if err == nil || !strings.Contains(err.Error(), test.word) {
				t.Errorf("want an error that names %s, got %v", test.word, err)
			}
		})
	}
}

func TestTheManifestsAreWhatTheChartMakes(t *testing.T) {
	if err := run("../../..", true); err != nil {
		t.Error(err)
	}
}

func TestKustomizeBuildsWhatTheChartRenders(t *testing.T) {
	for dir, values := range map[string][]string{
		"base": {"pi-values.yaml"}, "overlays/arm64": {"pi-values.yaml", "arm64-values.yaml"},
	} {
		t.Run(dir, func(t *testing.T) {
			built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../../../deploy/kubernetes/"+dir)
			if err != nil {
				t.Fatal(err)
			}
			documents, err := render(chart, values...)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]map[string]any{}
			for _, d := range documents {
				want[d.key()] = d.object.Object
			}
			for _, resource := range built.Resources() {
				object, err := resource.Map()
				if err != nil {
					t.Fatal(err)
				}
				key := document{object: unstructured.Unstructured{Object: object}}.key()
				if !reflect.DeepEqual(decode(t, resource.MustYaml()), decode(t, toYAML(t, want[key]))) {
					t.Errorf("%s is another", key)
				}
				delete(want, key)
			}
			for key := range maps.Keys(want) {
				t.Errorf("%s is missing", key)
			}
		})
	}
}

func toYAML(t *testing.T, object map[string]any) string {
	t.Helper()
	data, err := (&unstructured.Unstructured{Object: object}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
