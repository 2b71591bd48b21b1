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
		"kubectl": {[]map[string]any{object("CSIDriver", migrate.DriverName, nil)}, "kubectl apply -k deploy/kubernetes/base"},
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
