// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// TestTheCureIsTheWayInWhichTheDriverCame: nothing is there, or what kubectl has applied, or what Helm has left. The
// commands are run in tests/e2e/kubectl.
func TestTheCureIsTheWayInWhichTheDriverCame(t *testing.T) {
	object := func(kind, name string, annotations map[string]any) map[string]any {
		return map[string]any{"kind": kind, "metadata": map[string]any{"name": name, "annotations": annotations}}
	}
	others := []map[string]any{object("Node", "pi-worker1", nil), object("ConfigMap", "other", map[string]any{"meta.helm.sh/release-name": "other"})}
	for name, c := range map[string]struct {
		has  []map[string]any
		cure string
	}{
		"nothing": {nil, "install the driver: docs/install.md"},
		"kubectl": {[]map[string]any{object("CSIDriver", migrate.DriverName, nil)}, "kubectl apply -k deploy/kubernetes/base   # or the directory that you have installed from"},
		"Helm": {
			[]map[string]any{object("CSIDriver", migrate.DriverName, map[string]any{"meta.helm.sh/release-name": "gluster", "meta.helm.sh/release-namespace": "system"})},
			"helm upgrade --install gluster deploy/helm/glusterfs-csi -n system -f my-values.yaml",
		},
	} {
		o := &Objects{Driver: migrate.DriverName}
		for _, content := range append(others, c.has...) {
			o.Add(content)
		}
		count := 0
		for _, f := range o.Check() {
			if f.Severity == answers.OK {
				continue
			}
			count++
			if f.Cure != c.cure && (name != "kubectl" || f.Cure != "kubectl apply -f deploy/kubernetes/base/storageclass.yaml") {
				t.Errorf("%s: %s has the cure %q, want %q", name, f.Check, f.Cure, c.cure)
			}
			if strings.Contains(f.Cure, "-n get") {
				t.Errorf("%s: %q is no command", name, f.Cure)
			}
		}
		if count < 5 {
			t.Errorf("%s: %d findings", name, count)
		}
	}
}

// in is what is well or not, of one check, in a cluster with some objects of the driver's.
func in(check string, content ...map[string]any) (found []answers.Finding) {
	o := &Objects{Driver: migrate.DriverName, Namespace: "glusterfs-csi"}
	for _, c := range content {
		o.Add(c)
	}
	for _, f := range o.Check() {
		if f.Check == check {
			found = append(found, f)
		}
	}
	return found
}

func ofComponent(kind, name, component string, spec map[string]any) map[string]any {
	return map[string]any{
		"kind": kind, "spec": spec,
		"metadata": map[string]any{"name": name, "namespace": "glusterfs-csi", "labels": map[string]any{componentLabel: component}},
	}
}

// Nodes on which the driver is not meant to run are no fault.
func TestOnlyNodesWithTheNodePluginAreRegistered(t *testing.T) {
	node := func(name string) map[string]any {
		return map[string]any{"kind": "Node", "metadata": map[string]any{"name": name}}
	}
	content := []map[string]any{
		node("arm"), node("amd"), ofComponent("Pod", "node-0", "node", map[string]any{"nodeName": "arm"}),
	}
	if found := in("registration", content...); len(found) != 1 || found[0].Severity == answers.OK || found[0].About != "node arm" {
		t.Errorf("found %+v", found)
	}
	content = append(content, map[string]any{
		"kind": "CSINode", "metadata": map[string]any{"name": "arm"}, "spec": map[string]any{"drivers": []any{map[string]any{"name": migrate.DriverName}}},
	})
	if found := in("registration", content...); len(found) != 1 || found[0].Severity != answers.OK || found[0].About != "1 of 2 nodes" {
		t.Errorf("found %+v", found)
	}
}

// What the next mounter will be the DaemonSet says; no name of an image tells which is newer.
func TestMountersThatWaitToBeUpdatedAreNamedOneByOne(t *testing.T) {
	containers := func(image string) []any { return []any{map[string]any{"name": mounter, "image": image}} }
	content := []map[string]any{
		ofComponent("DaemonSet", "mounter", mounter, map[string]any{"template": map[string]any{"spec": map[string]any{"containers": containers("driver:v0.10.0")}}}),
		ofComponent("Pod", "mounter-0", mounter, map[string]any{"containers": containers("driver:v0.9.0")}),
		ofComponent("Pod", "mounter-1", mounter, map[string]any{"containers": containers("driver:v0.10.0")}),
		ofComponent("Pod", "mounter-2", mounter, map[string]any{"containers": containers("driver@sha256:11")}),
		ofComponent("Pod", "node-0", "node", map[string]any{"containers": []any{map[string]any{"name": "driver", "image": "driver:v0.9.0"}}}), // rolls by itself
	}
	found := in("version", content...)
	if len(found) != 2 || found[0].Cure != "kubectl -n glusterfs-csi delete pod mounter-0" || found[1].Cure != "kubectl -n glusterfs-csi delete pod mounter-2" {
		t.Errorf("found %+v", found)
	}
	content[0]["status"] = map[string]any{"desiredNumberScheduled": int64(3), "updatedNumberScheduled": int64(1)}
	if found := in("version", content...); len(found) != 2 {
		t.Errorf("found %+v", found)
	}
	content[0]["status"] = map[string]any{"desiredNumberScheduled": int64(3), "updatedNumberScheduled": int64(3)} // an admission webhook has changed the images
	if found := in("version", content...); len(found) != 0 {
		t.Errorf("none waits: found %+v", found)
	}
}

// A claim of another driver is not this one's to delete, nor is one of the driver's: its volume is there, and it gets it back.
func TestALostClaimGetsItsVolumeBack(t *testing.T) {
	claim := func(name, class string) map[string]any {
		return map[string]any{
			"kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": name, "namespace": "shop"},
			"spec": map[string]any{"storageClassName": class, "volumeName": "pv"}, "status": map[string]any{"phase": "Lost"},
		}
	}
	class := func(name, driver string) map[string]any {
		return map[string]any{"kind": "StorageClass", "provisioner": driver, "metadata": map[string]any{"name": name}}
	}
	found := in("claim", class("ours", migrate.DriverName), class("theirs", "other.example"), claim("a", "ours"), claim("b", "theirs"))
	if len(found) != 1 || found[0].About != "persistentvolumeclaim shop/a" || found[0].Cure != "kubectl glusterfs recover -n shop --apply" {
		t.Errorf("found %+v", found)
	}
}

// It may have been made by hand, as what was taken over from the removed plugin is, or its class was deleted.
func TestALostClaimWithoutAClassIsSaid(t *testing.T) {
	for _, class := range []string{"", "gone"} {
		for driver, isSaid := range map[string]bool{"": true, migrate.DriverName: true, "other.example": false} {
			for _, key := range []string{"volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"} {
				lost := map[string]any{
					"kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": "a", "namespace": "shop", "annotations": map[string]any{key: driver}},
					"spec": map[string]any{"storageClassName": class, "volumeName": "pv"}, "status": map[string]any{"phase": "Lost"},
				}
				found := in("claim", lost)
				if (len(found) > 0) != isSaid {
					t.Errorf("class %q, by %q: found %+v", class, driver, found)
				} else if isSaid && (found[0].Severity != answers.Error || found[0].Message != "its PersistentVolume pv is gone" || strings.Contains(found[0].Cure, "delete")) {
					t.Errorf("class %q, by %q: %+v", class, driver, found[0])
				}
			}
		}
	}
}
