// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// TestTheDriverHasATokenForWhatItAsksAlone: without events, and with an ID of the operator's, the driver itself asks the API server
// nothing, and has neither token nor rights.
func TestTheDriverHasATokenForWhatItAsksAlone(t *testing.T) {
	for _, events := range []bool{true, false} {
		for _, asks := range []bool{true, false} {
			id := "production"
			if asks {
				id = ""
			}
			documents := rendered(t, fmt.Sprintf("--set=controller.events=%t,controller.kubernetesID=%s", events, id))
			driver := container(t, find[*appsv1.Deployment](t, documents).Spec.Template.Spec, "driver")
			has := func(prefix string) bool {
				return slices.ContainsFunc(driver.Args, func(arg string) bool { return strings.HasPrefix(arg, prefix) })
			}
			hasToken := slices.ContainsFunc(driver.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "token" })
			mayWrite, mayAsk := slices.Contains(kinds(documents), "ClusterRole/glusterfs-csi-events"), slices.Contains(kinds(documents), "ClusterRole/glusterfs-csi-identity")
			if has("--events=") != events || mayWrite != events || (len(driver.Env) > 0) != events {
				t.Errorf("events %t: it writes them: %t, rights: %t, environment: %v", events, has("--events="), mayWrite, driver.Env)
			}
			if has("--kubernetes-id-from=") != asks || has("--kubernetes-id=production") == asks || mayAsk != asks {
				t.Errorf("it is to ask who it is: %t, and may: %t, with %q", asks, mayAsk, driver.Args)
			}
			if has("--claims-from=") != hasToken {
				t.Errorf("a token: %t, with %q", hasToken, driver.Args)
			}
			if hasToken != (events || asks) {
				t.Errorf("events %t, it is to ask who it is: %t: a token: %t", events, asks, hasToken)
			}
		}
	}
}

// TestTheRightToAskWhoItIsIsTheLeast: one namespace, by its name.
func TestTheRightToAskWhoItIsIsTheLeast(t *testing.T) {
	for _, d := range rendered(t) {
		if d.object.GetKind() != "ClusterRole" || d.object.GetName() != "glusterfs-csi-identity" {
			continue
		}
		role, isRole := decode(t, d.text).(*rbacv1.ClusterRole)
		want := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, ResourceNames: []string{"kube-system"}, Verbs: []string{"get"}}
		if !isRole || len(role.Rules) != 1 || !reflect.DeepEqual(role.Rules[0], want) {
			t.Errorf("it may %+v", role)
		}
		return
	}
	t.Error("there is no such role")
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
