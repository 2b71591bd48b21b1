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

// What SECURITY.md says of rights: the controller's sidecars have those that they ask for, nobody has any on nodes.
func TestNobodyMayReadSecretsOrRunInPods(t *testing.T) {
	documents := rendered(t, "--set=controller.replicas=2")
	var rules []rbacv1.PolicyRule
	for _, d := range documents {
		switch object := decode(t, d.text).(type) {
		case *rbacv1.ClusterRole:
			rules = append(rules, object.Rules...)
		case *rbacv1.Role:
			rules = append(rules, object.Rules...)
		case *rbacv1.ClusterRoleBinding:
			checkSubjects(t, object.Name, object.Subjects)
		case *rbacv1.RoleBinding:
			checkSubjects(t, object.Name, object.Subjects)
		}
	}
	if len(rules) == 0 {
		t.Fatal("the chart has no rights at all")
	}
	for _, rule := range rules {
		for _, resource := range rule.Resources {
			if resource == "*" || resource == "secrets" || strings.HasPrefix(resource, "pods") || strings.HasPrefix(resource, "serviceaccounts") {
				t.Errorf("%v may %v", resource, rule.Verbs)
			}
		}
		if slices.Contains(rule.Verbs, "*") || slices.Contains(rule.Verbs, "escalate") || slices.Contains(rule.Verbs, "impersonate") {
			t.Errorf("%v: %v", rule.Resources, rule.Verbs)
		}
	}
}

func checkSubjects(t *testing.T, binding string, subjects []rbacv1.Subject) {
	t.Helper()
	for _, s := range subjects {
		if s.Kind != rbacv1.ServiceAccountKind || s.Name != "glusterfs-csi-controller" {
			t.Errorf("%s gives rights to %s %s", binding, s.Kind, s.Name)
		}
	}
}

// Unless it is asked for, nobody but the node itself reaches a page of the driver, and CSI is served on unix sockets alone.
func TestNothingListensBeyondLoopback(t *testing.T) {
	documents := rendered(t, "--set=controller.replicas=2")
	var containers []corev1.Container
	for _, d := range documents {
		switch object := decode(t, d.text).(type) {
		case *appsv1.Deployment:
			containers = append(containers, object.Spec.Template.Spec.Containers...)
		case *appsv1.DaemonSet:
			containers = append(containers, object.Spec.Template.Spec.Containers...)
		}
	}
	endpoints := 0
	for _, c := range containers {
		for _, arg := range c.Args {
			name, value, _ := strings.Cut(arg, "=")
			if !strings.HasSuffix(name, "endpoint") && !strings.HasSuffix(name, "address") {
				continue
			}
			endpoints++
			if !strings.HasPrefix(value, "127.0.0.1:") && !strings.HasPrefix(value, "unix:///") && !strings.HasPrefix(value, "/") {
				t.Errorf("%s listens at %s", c.Name, arg)
			}
		}
	}
	if endpoints < len(containers) {
		t.Errorf("%d endpoints of %d containers", endpoints, len(containers))
	}
}
