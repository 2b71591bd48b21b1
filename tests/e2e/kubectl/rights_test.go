// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"errors"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
)

func TestWhoMayReadNothing(t *testing.T) {
	operator(t)
	code, out, progress := kubectl(t, "migrate", "--as", "nobody")
	if code != cli.ExitFailed || out != "" || !strings.Contains(progress, "forbidden") {
		t.Errorf("exit %d, %s%s", code, out, progress)
	}
}

// TestWhoMayReadPart: what could not be read is in the plan, and not taken for absent.
func TestWhoMayReadPart(t *testing.T) {
	w := operator(t)
	namespace := w.boundClaim()
	w.make(map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": map[string]any{"name": "part"},
		"rules": []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"*"}, "verbs": []any{"list", "get"}}},
	}, "")
	w.make(map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": map[string]any{"name": "part"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "part"},
		"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "part"}},
	}, "")
	w.await("the rights are there", func() error {
		code, out, progress := kubectl(t, "migrate", "--as", "part")
		if code == cli.ExitLeft && strings.Contains(out, namespace+"/gluster-claim") && strings.Contains(out, "deployments") && strings.Contains(out, "could not be read") {
			return nil
		}
		return errors.New(out + progress)
	})
}
