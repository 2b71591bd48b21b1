// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

const withStartupTaint = "--set=controller.removeStartupTaint=true"

// startupTaint is that of a node that cannot mount volumes yet.
var startupTaint = corev1.Taint{Key: "glusterfs.csi.gluster.org/agent-not-ready", Effect: corev1.TaintEffectNoExecute}

// TestThePodsOfTheDriverBearTheStartupTaint, or a node would never lose it.
func TestThePodsOfTheDriverBearTheStartupTaint(t *testing.T) {
	documents := rendered(t, "--set=controller.tolerations=null")
	for name, pod := range map[string]corev1.PodSpec{
		"controller": find[*appsv1.Deployment](t, documents).Spec.Template.Spec,
		"node":       daemonSet(t, documents, "node").Template.Spec, "mounter": daemonSet(t, documents, "mounter").Template.Spec,
	} {
		if !slices.ContainsFunc(pod.Tolerations, func(c corev1.Toleration) bool {
			return (c.Key == "" || c.Key == startupTaint.Key) && (c.Effect == "" || c.Effect == startupTaint.Effect) && c.Operator == corev1.TolerationOpExists && c.TolerationSeconds == nil
		}) {
			t.Errorf("the %s: %+v", name, pod.Tolerations)
		}
	}
}

// TestTheRightsForTheStartupTaintAreTheLeast, and nobody has them who does not ask for them.
func TestTheRightsForTheStartupTaintAreTheLeast(t *testing.T) {
	const objects = "ClusterRole/glusterfs-csi-startup-taint ClusterRoleBinding/glusterfs-csi-startup-taint Role/glusterfs-csi-startup-taint RoleBinding/glusterfs-csi-startup-taint"
	base, documents := kinds(rendered(t)), rendered(t, "-f", filepath.Join(chart, "ci/startup-taint-values.yaml"))
	if got := slices.DeleteFunc(kinds(documents), func(kind string) bool { return slices.Contains(base, kind) }); strings.Join(got, " ") != objects {
		t.Errorf("it adds %v", got)
	}
	var may []string
	for _, d := range documents {
		if d.object.GetName() != "glusterfs-csi-startup-taint" {
			continue
		}
		var rules []rbacv1.PolicyRule
		switch role := decode(t, d.text).(type) {
		case *rbacv1.ClusterRole:
			rules = role.Rules
		case *rbacv1.Role:
			rules = role.Rules
		}
		for _, rule := range rules {
			may = append(may, d.object.GetKind()+" "+strings.Join(rule.Resources, ",")+" "+strings.Join(rule.Verbs, ","))
		}
	}
	if want := []string{"ClusterRole nodes watch,patch", "ClusterRole csinodes get", "Role pods list"}; !slices.Equal(may, want) {
		t.Errorf("it may %q", may)
	}
}

// TestWhoTakesTheStartupTaintOffHasTheToken, also where nothing else asks the API server.
func TestWhoTakesTheStartupTaintOffHasTheToken(t *testing.T) {
	driver := container(t, find[*appsv1.Deployment](t, rendered(t, withStartupTaint, "--set=controller.events=false,controller.kubernetesID=production")).Spec.Template.Spec, "driver")
	i := slices.IndexFunc(driver.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "token" })
	if i < 0 || !slices.Contains(driver.Args, "--startup-taint="+driver.VolumeMounts[i].MountPath) {
		t.Errorf("arguments %q, mounts %+v", driver.Args, driver.VolumeMounts)
	}
}
