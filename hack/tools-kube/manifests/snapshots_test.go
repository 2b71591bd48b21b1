// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
)

func TestSnapshotsAddJustTheseObjects(t *testing.T) {
	base := kinds(rendered(t))
	for values, want := range map[string][]string{
		"snapshots-values.yaml": {"ClusterRole/glusterfs-csi-snapshots", "ClusterRoleBinding/glusterfs-csi-snapshots", "VolumeSnapshotClass/glusterfs"},
		"snapshot-controller-values.yaml": {
			"ClusterRole/snapshot-controller-runner", "ClusterRoleBinding/snapshot-controller-role",
			"CustomResourceDefinition/volumesnapshotclasses.snapshot.storage.k8s.io",
			"CustomResourceDefinition/volumesnapshotcontents.snapshot.storage.k8s.io",
			"CustomResourceDefinition/volumesnapshots.snapshot.storage.k8s.io",
			"Deployment/snapshot-controller", "ServiceAccount/snapshot-controller",
		},
	} {
		got := slices.DeleteFunc(kinds(rendered(t, "-f", filepath.Join(chart, "ci", values))), func(kind string) bool { return slices.Contains(base, kind) })
		if !slices.Equal(got, want) {
			t.Errorf("%s adds %v, not %v", values, got, want)
		}
	}
}

// All snapshots of all drivers are gone when their definition is.
func TestTheDefinitionsOfSnapshotsStayWhenTheReleaseGoes(t *testing.T) {
	found := 0
	for _, d := range rendered(t, "--set=snapshots.crds=true") {
		if d.object.GetKind() == "CustomResourceDefinition" {
			found++
			if policy := d.object.GetAnnotations()["helm.sh/resource-policy"]; policy != "keep" {
				t.Errorf("%s: policy %q", d.object.GetName(), policy)
			}
		}
	}
	if found != 3 {
		t.Errorf("there are %d definitions", found)
	}
}

func TestClassesOfSnapshotsComeAfterTheirDefinitions(t *testing.T) {
	for args, want := range map[string]string{"--set=snapshots.crds=false": "", "--set=snapshots.crds=true": "post-install,post-upgrade"} {
		class := find[*snapshotv1.VolumeSnapshotClass](t, rendered(t, withSnapshots, args))
		if hook := class.Annotations["helm.sh/hook"]; hook != want {
			t.Errorf("%s: hook %q, not %q", args, hook, want)
		}
	}
}

func TestTheChartSaysHowManyCopiesThereAreAtOnce(t *testing.T) {
	for _, test := range []struct{ set, want []string }{
		{nil, []string{"--max-copies=4", "--max-copies-per-volume=2"}},
		{[]string{"--set=controller.maxCopies=9,controller.maxCopiesPerVolume=3"}, []string{"--max-copies=9", "--max-copies-per-volume=3"}},
	} {
		args := find[*appsv1.Deployment](t, rendered(t, test.set...)).Spec.Template.Spec.Containers[0].Args
		for _, want := range test.want {
			if !slices.Contains(args, want) {
				t.Errorf("with %q the controller has %q, without %s", test.set, args, want)
			}
		}
	}
	if output, err := template(chart, "-f", pi, "--set=controller.maxCopies=0"); err == nil {
		t.Errorf("with none at once it renders %d bytes", len(output))
	}
}

// Groups of snapshots have definitions of their own, which few clusters have; both programs wait for them unless told not to.
func TestNobodyWaitsForGroupsOfSnapshots(t *testing.T) {
	documents := rendered(t, withSnapshots, "--set=snapshots.controller.enabled=true")
	found := 0
	for _, d := range documents {
		deployment, ok := decode(t, d.text).(*appsv1.Deployment)
		if !ok {
			continue
		}
		for _, c := range deployment.Spec.Template.Spec.Containers {
			if !slices.Contains([]string{"snapshotter", "snapshot-controller"}, c.Name) {
				continue
			}
			found++
			if !slices.Contains(c.Args, "--feature-gates=CSIVolumeGroupSnapshot=false") {
				t.Errorf("the %s: %q", c.Name, c.Args)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d programs make snapshots, not 2", found)
	}
}

func TestTheDefinitionsAndTheProgramsAreOfOneVersion(t *testing.T) {
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", snapshotClient).Output()
	if err != nil {
		t.Fatal(err)
	}
	documents := rendered(t, withSnapshots, "--set=snapshots.controller.enabled=true")
	for _, name := range []string{"csi-snapshotter", "snapshot-controller"} {
		image := "image: registry.k8s.io/sig-storage/" + name + ":" + strings.TrimSpace(string(version)) + "\n"
		if !slices.ContainsFunc(documents, func(d document) bool { return strings.Contains(d.text, image) }) {
			t.Errorf("nothing has %s", image)
		}
	}
}
