// SPDX-License-Identifier: Apache-2.0

package main

import (
	"reflect"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// TestWhatPodsNeedStaysWhenTheReleaseGoes, and nothing else; with uninstall.keep off only the list of servers, which may be yours.
func TestWhatPodsNeedStaysWhenTheReleaseGoes(t *testing.T) {
	for value, want := range map[string][]string{
		"true": {
			"CSIDriver/glusterfs.csi.gluster.org", "ConfigMap/glusterfs-csi-clusters", "DaemonSet/glusterfs-csi-mounter", "Namespace/glusterfs-csi",
			"ResourceQuota/glusterfs-csi", "ServiceAccount/glusterfs-csi-node",
		},
		"false": {"ConfigMap/glusterfs-csi-clusters"},
	} {
		kept := slices.DeleteFunc(rendered(t, "--set=resourceQuota.enabled=true,uninstall.keep="+value), func(d document) bool {
			return d.object.GetAnnotations()["helm.sh/resource-policy"] != "keep"
		})
		if got := kinds(kept); !slices.Equal(got, want) {
			t.Errorf("keep %s: %q, not %q", value, got, want)
		}
	}
}

// TestTheCheckBeforeUninstallHasATokenAndNoPowers: it lists what the controller's account may.
func TestTheCheckBeforeUninstallHasATokenAndNoPowers(t *testing.T) {
	job := find[*batchv1.Job](t, rendered(t))
	if hook := job.Annotations["helm.sh/hook"]; hook != "pre-delete" {
		t.Errorf("its hook is %q", hook)
	}
	pod := job.Spec.Template.Spec
	c := container(t, pod, "check")
	if pod.ServiceAccountName != "glusterfs-csi-controller" || pod.AutomountServiceAccountToken == nil || !*pod.AutomountServiceAccountToken || pod.HostNetwork {
		t.Errorf("%+v", pod)
	}
	if s := c.SecurityContext; s.Privileged != nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || len(s.Capabilities.Drop) != 1 || *s.AllowPrivilegeEscalation {
		t.Errorf("%+v", s)
	}
	if *job.Spec.BackoffLimit != 0 || !slices.Equal(c.Args, []string{"uninstall-check"}) {
		t.Errorf("%+v", job.Spec)
	}
}

// TestTheCheckBeforeUninstallListsSnapshotsWhereThereAreSome, and has a right of its own for it only where snapshots.yaml
// does not give it.
func TestTheCheckBeforeUninstallListsSnapshotsWhereThereAreSome(t *testing.T) {
	const api, enabled = "--api-versions=snapshot.storage.k8s.io/v1", "--set=snapshots.enabled=true"
	for name, c := range map[string]struct {
		args         []string
		looks, right bool
	}{
		"a cluster without snapshots": {nil, false, false},
		"a cluster with snapshots":    {[]string{api}, true, true},
		"snapshots enabled":           {[]string{enabled}, true, false},
		"both":                        {[]string{api, enabled}, true, false},
	} {
		documents := rendered(t, c.args...)
		if looks := slices.Contains(container(t, find[*batchv1.Job](t, documents).Spec.Template.Spec, "check").Args, "--snapshots"); looks != c.looks {
			t.Errorf("%s: it looks at snapshots: %v", name, looks)
		}
		i := slices.IndexFunc(documents, func(d document) bool {
			return d.object.GetKind() == "ClusterRole" && d.object.GetName() == "glusterfs-csi-uninstall-check"
		})
		if (i >= 0) != c.right {
			t.Errorf("%s: it has a right of its own: %v", name, i >= 0)
		}
		if i < 0 {
			continue
		}
		role, _ := decode(t, documents[i].text).(*rbacv1.ClusterRole)
		if want := []rbacv1.PolicyRule{{APIGroups: []string{"snapshot.storage.k8s.io"}, Resources: []string{"volumesnapshotcontents"}, Verbs: []string{"list"}}}; !reflect.DeepEqual(role.Rules, want) {
			t.Errorf("%s: it may %+v", name, role.Rules)
		}
	}
}
