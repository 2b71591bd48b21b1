// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

func TestAPowerCutDoesNotKeepContainersFromBeingRestarted(t *testing.T) {
	root, err := statedir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root.StateDir(), "restarts.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := New(root, time.Minute, nil)
	if err := w.restarter.round(t.Context(), nil, nil); err != nil {
		t.Error(err)
	}
	if all, err := root.Restarts(); len(all) > 0 || err != nil {
		t.Errorf("other processes read %+v, %v", all, err)
	}
}
