// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// TestRollbackReadsTheRecordsAlone: whatever cannot be listed while something is amiss, the way back is open.
func TestRollbackReadsTheRecordsAlone(t *testing.T) {
	kubeconfig := serve(t, func(resource string, r *http.Request) ([]any, bool) {
		if r.URL.Query().Has("fieldSelector") {
			return []any{driversFile}, resource == "configmaps"
		}
		return nil, resource == "configmaps"
	})
	for _, args := range [][]string{{"--rollback"}, {"--rollback", "--dry-run"}} {
		var out, progress bytes.Buffer
		code := Run(t.Context(), Environment{Out: &out, Err: &progress}, append([]string{"migrate", "--kubeconfig", kubeconfig}, args...))
		if code != ExitDone || !strings.Contains(progress.String(), "nothing to roll back") && len(args) == 1 {
			t.Errorf("%v: exit %d, %s%s", args, code, &out, &progress)
		}
	}
}
