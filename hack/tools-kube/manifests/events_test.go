// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// TestTheDriverHasATokenForEventsAlone: without them, the driver itself asks the API server nothing, and has neither token nor rights.
func TestTheDriverHasATokenForEventsAlone(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "false": false} {
		documents := rendered(t, "--set=controller.events="+value)
		driver := container(t, find[*appsv1.Deployment](t, documents).Spec.Template.Spec, "driver")
		writes := slices.ContainsFunc(driver.Args, func(arg string) bool { return strings.HasPrefix(arg, "--events=") })
		hasToken := slices.ContainsFunc(driver.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "token" })
		hasRights := slices.Contains(kinds(documents), "ClusterRole/glusterfs-csi-events")
		if writes != want || hasToken != want || hasRights != want || (len(driver.Env) > 0) != want {
			t.Errorf("events %s: it writes them: %t, a token: %t, rights: %t, environment: %v", value, writes, hasToken, hasRights, driver.Env)
		}
	}
}

// TestTheRightsForEventsAreTheLeast, as docs/decisions/14-events-by-the-controller.md has them.
func TestTheRightsForEventsAreTheLeast(t *testing.T) {
	for _, d := range rendered(t) {
		if d.object.GetKind() != "ClusterRole" || d.object.GetName() != "glusterfs-csi-events" {
			continue
		}
		role, isRole := decode(t, d.text).(*rbacv1.ClusterRole)
		if !isRole || len(role.Rules) != 2 {
			t.Fatalf("%+v", role)
		}
		for _, rule := range role.Rules {
			may := strings.Join(rule.Resources, ",") + " " + strings.Join(rule.Verbs, ",")
			if may != "persistentvolumes list" && may != "events create,patch" {
				t.Errorf("it may %s", may)
			}
		}
		return
	}
	t.Error("there is no such role")
}
