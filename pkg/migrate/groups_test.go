// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"slices"
	"strings"
	"testing"
)

var oneServer = Options{Live: true, Servers: map[string][]string{"gfs": {"10.0.0.1"}}}

// TestAServiceOfKnativeIsAnother: it has the name of the Service that Knative makes for it.
func TestAServiceOfKnativeIsAnother(t *testing.T) {
	plan := planOf(t, `
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {type: ExternalName, externalName: gateway.example.com}}
---
{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: web, namespace: shop},
 spec: {template: {spec: {volumes: [{name: html, glusterfs: {endpoints: gfs, path: gv0/html}}]}}}}
`, oneServer)
	if slices.ContainsFunc(plan.Findings, func(f Finding) bool { return strings.Contains(f.Message, "more than once") }) {
		t.Errorf("%+v", plan.Findings)
	}
	if len(plan.Inline) != 1 || plan.Inline[0].Volume != "html" {
		t.Errorf("the inline volumes are %+v", plan.Inline)
	}
}

// TestWorkloadsOfOneKindInTwoGroups: the pods of each are its own, and only Kubernetes' own are stopped by kubectl scale.
func TestWorkloadsOfOneKindInTwoGroups(t *testing.T) {
	plan := planOf(t, `
{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {claimRef: {namespace: shop, name: c}, glusterfs: {endpoints: gfs, path: gv0}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c, namespace: shop}, spec: {volumeName: a}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: shop}, spec: {replicas: 1, template: {spec: {volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]}}}}
---
{apiVersion: apps.kruise.io/v1beta1, kind: StatefulSet, metadata: {name: db, namespace: shop}, spec: {replicas: 2, template: {spec: {volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: shop, ownerReferences: [{apiVersion: apps.kruise.io/v1beta1, kind: StatefulSet, name: db, controller: true}]},
 spec: {volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]}}
`, oneServer)
	if len(plan.Workloads) != 2 || plan.Workloads[0].Stop != "kubectl -n shop scale statefulset/db --replicas=0" || plan.Workloads[1].Stop != "" || plan.Workloads[1].ByHand == "" {
		t.Errorf("the workloads are %+v", plan.Workloads)
	}
}

// TestOneObjectUnderTwoGroups: some kinds were in another group once, and files still have them there.
func TestOneObjectUnderTwoGroups(t *testing.T) {
	for _, groups := range [][2]string{{"extensions/v1beta1", "apps/v1"}, {"apps/v1beta2", "apps/v1"}} {
		in := newInput([]Object{
			{Content: map[string]any{"apiVersion": groups[0], "kind": "Deployment", "metadata": map[string]any{"name": "web"}}, Source: "1"},
			{Content: map[string]any{"apiVersion": groups[1], "kind": "Deployment", "metadata": map[string]any{"name": "web"}}, Source: "2"},
		}, "shop", func(Finding) {})
		if len(in.all) != 1 || in.all[0].Source != "2" {
			t.Errorf("%v: %+v", groups, in.all)
		}
	}
	for content, want := range map[[2]string]string{
		{"extensions/v1beta1", "Ingress"}: "networking.k8s.io", {"v1", "DeploymentConfig"}: "apps.openshift.io", {"v1", "Service"}: "", {"", "Service"}: "",
		{"serving.knative.dev/v1", "Service"}: "serving.knative.dev",
	} {
		if have := groupOf(map[string]any{"apiVersion": content[0], "kind": content[1]}); have != want {
			t.Errorf("%v is of the group %q", content, have)
		}
	}
}
