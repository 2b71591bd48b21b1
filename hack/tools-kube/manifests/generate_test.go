// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	chart = "../../../deploy/helm/glusterfs-csi"
	pi    = chart + "/ci/pi-values.yaml"
)

// decoder refuses fields that the API does not have.
var decoder = serializer.NewCodecFactory(types(), serializer.EnableStrict).UniversalDeserializer()

// types are those of Kubernetes and of its snapshots.
func types() *runtime.Scheme {
	all := runtime.NewScheme()
	utilruntime.Must(scheme.AddToScheme(all))
	utilruntime.Must(apiextensionsv1.AddToScheme(all))
	utilruntime.Must(snapshotv1.AddToScheme(all))
	return all
}

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

// daemonSet is the pod of a DaemonSet, by its component's name.
func daemonSet(t *testing.T, documents []document, component string) appsv1.DaemonSetSpec {
	t.Helper()
	i := slices.IndexFunc(documents, func(d document) bool {
		return d.object.GetKind() == "DaemonSet" && d.object.GetName() == "glusterfs-csi-"+component
	})
	if i < 0 {
		t.Fatalf("no DaemonSet for the %s", component)
	}
	found, ok := decode(t, documents[i].text).(*appsv1.DaemonSet)
	if !ok {
		t.Fatalf("not a DaemonSet: %s", documents[i].text)
	}
	return found.Spec
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
		"snapshots":                  {"-f", chart + "/ci/snapshots-values.yaml"},
		"snapshots for two":          {"-f", chart + "/ci/snapshots-values.yaml", "--set=controller.replicas=2"},
		"all that snapshots need":    {"-f", chart + "/ci/snapshots-values.yaml", "-f", chart + "/ci/snapshot-controller-values.yaml"},
		"a class of snapshots that says everything": {
			"--set=snapshots.enabled=true,snapshots.classes[0].name=away,snapshots.classes[0].default=true,snapshots.classes[0].deletionPolicy=Retain",
			"--set=snapshots.classes[0].parameters.cluster=away,snapshots.classes[0].parameters.volume=gv1",
		},
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
		"CSIDriver/glusterfs.csi.gluster.org", "ClusterRole/glusterfs-csi-events", "ClusterRole/glusterfs-csi-identity", "ClusterRole/glusterfs-csi-provisioner", "ClusterRole/glusterfs-csi-resizer",
		"ClusterRoleBinding/glusterfs-csi-events", "ClusterRoleBinding/glusterfs-csi-identity", "ClusterRoleBinding/glusterfs-csi-provisioner", "ClusterRoleBinding/glusterfs-csi-resizer",
		"ConfigMap/glusterfs-csi-clusters", "DaemonSet/glusterfs-csi-mounter", "DaemonSet/glusterfs-csi-node", "Deployment/glusterfs-csi-controller", "Job/glusterfs-csi-uninstall-check", "Namespace/glusterfs-csi",
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

// sidecars are the containers beside the driver in the controller, with snapshots.
var sidecars = []string{"provisioner", "resizer", "snapshotter"}

const withSnapshots = "--set=snapshots.enabled=true"

func TestMoreControllersElectALeader(t *testing.T) {
	for replicas, want := range map[string]bool{"1": false, "2": true} {
		documents := rendered(t, withSnapshots, "--set=controller.replicas="+replicas)
		for _, name := range sidecars {
			sidecar := container(t, find[*appsv1.Deployment](t, documents).Spec.Template.Spec, name)
			elects := slices.Contains(sidecar.Args, "--leader-election")
			if elects != want || slices.Contains(kinds(documents), "Role/glusterfs-csi-leader") != want || (sidecar.LivenessProbe != nil) != want {
				t.Errorf("%s replicas of the %s: leader election %t, probe %v", replicas, name, elects, sidecar.LivenessProbe)
			}
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
	documents := rendered(t, withSnapshots)
	pods := []corev1.PodSpec{
		find[*appsv1.Deployment](t, documents).Spec.Template.Spec, find[*corev1.Pod](t, documents).Spec,
		daemonSet(t, documents, "node").Template.Spec, daemonSet(t, documents, "mounter").Template.Spec,
	}
	for _, pod := range pods {
		for _, c := range pod.Containers {
			s := c.SecurityContext
			if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				t.Errorf("%s may write to its image", c.Name)
				continue
			}
			mounts := c.Name == "driver" || c.Name == "mounter"
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

func TestAllComponentsFitOnOneNode(t *testing.T) {
	documents := rendered(t, withSnapshots, "--set=controller.replicas=2")
	ports := map[int32]string{}
	for component, c := range map[string]corev1.Container{
		"controller":  container(t, find[*appsv1.Deployment](t, documents).Spec.Template.Spec, "driver"),
		"provisioner": container(t, find[*appsv1.Deployment](t, documents).Spec.Template.Spec, "provisioner"),
		"resizer":     container(t, find[*appsv1.Deployment](t, documents).Spec.Template.Spec, "resizer"),
		"snapshotter": container(t, find[*appsv1.Deployment](t, documents).Spec.Template.Spec, "snapshotter"),
		"node":        container(t, daemonSet(t, documents, "node").Template.Spec, "driver"),
		"mounter":     container(t, daemonSet(t, documents, "mounter").Template.Spec, "mounter"),
	} {
		port := c.Ports[0].ContainerPort
		if other := ports[port]; other != "" {
			t.Errorf("%s and %s want the same port of the node's network", component, other)
		}
		ports[port] = component
	}
}

func TestNothingEndsTheMounterUnasked(t *testing.T) {
	spec := daemonSet(t, rendered(t), "mounter")
	c := container(t, spec.Template.Spec, "mounter")
	if spec.UpdateStrategy.Type != appsv1.OnDeleteDaemonSetStrategyType {
		t.Errorf("its update strategy is %s", spec.UpdateStrategy.Type)
	}
	if c.LivenessProbe != nil || len(c.Resources.Limits) > 0 || spec.Template.Spec.PriorityClassName != "system-node-critical" {
		t.Errorf("liveness probe %v, limits %v, priority %s", c.LivenessProbe, c.Resources.Limits, spec.Template.Spec.PriorityClassName)
	}
}

// What the two must have in common, or clients that one starts are not to be seen by the other.
func TestTheMounterIsWhereTheNodePluginLooks(t *testing.T) {
	documents := rendered(t)
	node, mounter := daemonSet(t, documents, "node").Template.Spec, daemonSet(t, documents, "mounter").Template.Spec
	if !node.HostPID || !mounter.HostPID {
		t.Error("they see different processes")
	}
	const state = "/var/lib/glusterfs-csi"
	for _, pod := range []corev1.PodSpec{node, mounter} {
		if !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == "state" && v.HostPath != nil && v.HostPath.Path == state }) {
			t.Errorf("the state directory is another: %+v", pod.Volumes)
		}
	}
	in, out := container(t, node, "driver"), container(t, mounter, "mounter")
	if got := propagation(in)[state]; got != corev1.MountPropagationHostToContainer {
		t.Errorf("the node plugin's propagation of the state directory is %s", got)
	}
	if got := propagation(out)[state]; got != corev1.MountPropagationBidirectional {
		t.Errorf("the mounter's propagation of the state directory is %s", got)
	}
	const socket = "unix://" + state + "/mounter.sock"
	if !slices.Contains(in.Args, "--mounter="+socket) || !slices.Contains(out.Args, "--endpoint="+socket) {
		t.Errorf("arguments: %q and %q", in.Args, out.Args)
	}
}

// propagation is that of a container's mounts, by their paths; those without are left out.
func propagation(c corev1.Container) map[string]corev1.MountPropagationMode {
	modes := map[string]corev1.MountPropagationMode{}
	for _, m := range c.VolumeMounts {
		if m.MountPropagation != nil {
			modes[m.MountPath] = *m.MountPropagation
		}
	}
	return modes
}

func TestSidecarsWaitLongerThanPingTimeout(t *testing.T) {
	for _, name := range sidecars {
		args := container(t, find[*appsv1.Deployment](t, rendered(t, withSnapshots)).Spec.Template.Spec, name).Args
		i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--timeout=") })
		if i < 0 {
			t.Errorf("the %s has no --timeout", name)
			continue
		}
		if timeout, err := time.ParseDuration(strings.TrimPrefix(args[i], "--timeout=")); err != nil || timeout < 60*time.Second {
			t.Errorf("the %s: %s: %v", name, args[i], err)
		}
	}
}

func TestKubeletsDirectoryIsUnderItsOwnPath(t *testing.T) {
	const dir = "/var/snap/microk8s/common/var/lib/kubelet"
	documents := rendered(t, "--set=kubeletDir="+dir)
	for component, name := range map[string]string{"node": "driver", "mounter": "mounter"} {
		pod := daemonSet(t, documents, component).Template.Spec
		if got := propagation(container(t, pod, name))[dir]; got != corev1.MountPropagationBidirectional {
			t.Errorf("the %s's propagation is %q", component, got)
		}
		if i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.HostPath != nil && v.HostPath.Path == dir }); i < 0 {
			t.Errorf("another directory of the node is mounted in the %s", component)
		}
	}
	args := strings.Join(container(t, daemonSet(t, documents, "node").Template.Spec, "driver").Args, " ")
	if !strings.Contains(args, "--kubelet-dir="+dir) || !strings.Contains(args, "unix://"+dir+"/plugins/") {
		t.Errorf("arguments: %s", args)
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
