// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestTheUninstallCheckRefusesAndLetsGo: while a claim is bound, which it names, and no longer; by the rights that the
// chart's hook has.
func TestTheUninstallCheckRefusesAndLetsGo(t *testing.T) {
	w := newShop(t)
	w.make(map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": "glusterfs-csi-controller"}}, "glusterfs-csi")
	w.makeFile(repository + "/deploy/kubernetes/base/rbac.yaml")
	account := w.account()
	check := func() (string, error) {
		host, port, _ := strings.Cut(strings.TrimPrefix(server.Config.Host, "https://"), ":")
		process := exec.CommandContext(t.Context(), os.Getenv(binaryVariable), "uninstall-check", "--service-account="+account)
		process.Env = append(os.Environ(), "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port)
		output, err := process.CombinedOutput()
		return string(output), err
	}
	w.newClaim("shop", "data", "kept")
	w.await("it refuses", func() error { // the rights may take a moment
		output, err := check()
		if err == nil {
			t.Error("it lets go")
		} else if strings.Contains(output, "shop/data") && strings.Contains(output, "delete them first") {
			return nil
		}
		return err
	})
	w.delete("shop", "data")
	if output, err := check(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}
