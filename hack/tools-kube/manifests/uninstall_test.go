// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
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

// TestTheCheckBeforeUninstallHasATokenAndNoPowers: it lists PersistentVolumes, which the controller's account may.
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
