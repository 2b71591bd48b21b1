// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
	"github.com/glusterfs-csi/glusterfs-csi/tests/serviceaccount"
)

// TestTheUninstallCheckNamesWhatNeedsTheDriver, ten at most: claims that are bound, volumes that wait to be deleted,
// snapshots. It is tested on a real API server in tests/e2e/kubectl.
func TestTheUninstallCheckNamesWhatNeedsTheDriver(t *testing.T) {
	volume := func(driver, phase, policy string, n int) string {
		return fmt.Sprintf(`{"metadata": {"name": "pvc-%d"}, "spec": {"csi": {"driver": %q, "volumeHandle": "pi/gv0/%d"}, "claimRef": {"namespace": "shop", "name": "c%d"},
			"persistentVolumeReclaimPolicy": %q}, "status": {"phase": %q}}`, n, driver, n, n, policy, phase)
	}
	lists := map[string][]string{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		items, ok := lists[path.Base(r.URL.Path)]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"metadata": {}, "items": [%s]}`, strings.Join(items, ","))
	}))
	t.Cleanup(server.Close)
	api, err := kubeapi.New(serviceaccount.Mount(t, server))
	if err != nil {
		t.Fatal(err)
	}
	refuses := func(snapshots bool, names string) {
		t.Helper()
		err := uninstallCheck(t.Context(), api, "it.test", snapshots)
		if err == nil || !strings.Contains(err.Error(), "deletes "+names+". To keep the driver: helm history, and helm rollback") {
			t.Errorf("%v does not name %s", err, names)
		}
	}
	const volumes, contents = "persistentvolumes", "volumesnapshotcontents"
	lists[volumes] = []string{volume("other.test", "Bound", "Delete", 0), volume("it.test", "Released", "Retain", 1), volume("it.test", "Available", "Delete", 2)}
	if err := uninstallCheck(t.Context(), api, "it.test", true); err != nil { // in a cluster without snapshots
		t.Error(err)
	}
	lists[contents] = []string{
		`{"metadata": {"name": "a"}, "spec": {"driver": "other.test", "volumeSnapshotRef": {"namespace": "shop", "name": "noon"}}}`,
		`{"metadata": {"name": "b"}, "spec": {"driver": "it.test", "volumeSnapshotRef": {"namespace": "shop", "name": "noon"}}}`,
	}
	refuses(true, "VolumeSnapshotContent b (shop/noon)")
	if err := uninstallCheck(t.Context(), api, "it.test", false); err != nil {
		t.Error(err)
	}
	lists[volumes] = append(lists[volumes], volume("it.test", "Released", "Delete", 3), volume("it.test", "Failed", "Delete", 4))
	refuses(true, "PersistentVolume pvc-3, PersistentVolume pvc-4, VolumeSnapshotContent b (shop/noon)")
	var claims []string
	for n := range named + 1 {
		lists[volumes] = append(lists[volumes], volume("it.test", "Bound", "Delete", n))
		claims = append(claims, fmt.Sprintf("claim shop/c%d", n))
	}
	refuses(true, "PersistentVolume pvc-3, PersistentVolume pvc-4, "+strings.Join(claims[:named-2], ", ")+", and more")
}
