// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// driversFile is the object that says where the driver is.
var driversFile = map[string]any{
	"kind": "ConfigMap", "metadata": map[string]any{"namespace": "glusterfs-csi", "name": migrate.ClustersConfigMap},
	"data": map[string]any{migrate.ClustersKey: "clusters: [{name: pi, servers: [pi-worker1], volumes: [gv0]}]"},
}

// serve is an API server that answers lists, of a resource by its name, with these objects. Of what it has no answer for it says that it cannot.
// It returns the kubeconfig file that leads there.
func serve(t *testing.T, list func(resource string, r *http.Request) (items []any, isKnown bool)) (kubeconfig string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		items, isKnown := list(path.Base(r.URL.Path), r)
		if !isKnown {
			http.Error(w, "conversion webhook: connection refused", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}, "items": append([]any{}, items...)})
	}))
	t.Cleanup(server.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	content, err := json.Marshal(map[string]any{
		"current-context": "a", "contexts": []any{map[string]any{"name": "a", "context": map[string]any{"cluster": "a"}}},
		"clusters": []any{map[string]any{"name": "a", "cluster": map[string]any{"server": server.URL}}},
	})
	if err == nil {
		err = os.WriteFile(kubeconfig, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}
