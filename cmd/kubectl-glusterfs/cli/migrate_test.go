// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// TestRollbackReadsTheRecordsAlone: whatever cannot be listed while something is amiss, the way back is open.
func TestRollbackReadsTheRecordsAlone(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/configmaps") {
			http.Error(w, "conversion webhook: connection refused", http.StatusInternalServerError)
			return
		}
		items := ""
		if r.URL.Query().Get("fieldSelector") == "metadata.name="+migrate.ClustersConfigMap {
			items = fmt.Sprintf(`{"metadata": {"namespace": "glusterfs-csi", "name": %q}}`, migrate.ClustersConfigMap)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {}, "items": [%s]}`, items)
	}))
	defer server.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`{current-context: a, contexts: [{name: a, context: {cluster: a}}], clusters: [{name: a, cluster: {server: %q}}]}`, server.URL)
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--rollback"}, {"--rollback", "--dry-run"}} {
		var out, progress bytes.Buffer
		code := Run(t.Context(), Environment{Out: &out, Err: &progress}, append([]string{"migrate", "--kubeconfig", kubeconfig}, args...))
		if code != ExitDone || !strings.Contains(progress.String(), "nothing to roll back") && len(args) == 1 {
			t.Errorf("%v: exit %d, %s%s", args, code, &out, &progress)
		}
	}
}
