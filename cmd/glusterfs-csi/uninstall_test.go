// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
	"github.com/glusterfs-csi/glusterfs-csi/tests/serviceaccount"
)

// TestTheUninstallCheckNamesClaims, ten at most, and only those that are bound to volumes of the driver. It is tested on
// a real API server in tests/e2e/kubectl.
func TestTheUninstallCheckNamesClaims(t *testing.T) {
	volume := func(driver, phase string, n int) string {
		return fmt.Sprintf(`{"spec": {"csi": {"driver": %q, "volumeHandle": "pi/gv0/%d"}, "claimRef": {"namespace": "shop", "name": "c%d"}}, "status": {"phase": %q}}`, driver, n, n, phase)
	}
	var volumes []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"metadata": {}, "items": [%s]}`, strings.Join(volumes, ","))
	}))
	t.Cleanup(server.Close)
	api, err := kubeapi.New(serviceaccount.Mount(t, server))
	if err != nil {
		t.Fatal(err)
	}
	volumes = []string{volume("other.test", "Bound", 0), volume("it.test", "Released", 1)}
	if err := uninstallCheck(t.Context(), api, "it.test"); err != nil {
		t.Error(err)
	}
	for n := range claimsNamed + 1 {
		volumes = append(volumes, volume("it.test", "Bound", n))
	}
	err = uninstallCheck(t.Context(), api, "it.test")
	if err == nil || !strings.Contains(err.Error(), "shop/c0, shop/c1, ") || !strings.HasSuffix(err.Error(), ", shop/c9, and more") {
		t.Error(err)
	}
}
