// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// madeVolume is a PersistentVolume that the driver has made; changes are of the object.
func madeVolume(name string, changes ...func(pv map[string]any)) map[string]any {
	pv := map[string]any{
		"kind": "PersistentVolume", "metadata": map[string]any{"name": name, "annotations": map[string]any{"pv.kubernetes.io/provisioned-by": migrate.DriverName}},
		"spec": map[string]any{
			"csi": map[string]any{"driver": migrate.DriverName, "volumeHandle": "pi/gv0/" + name}, "persistentVolumeReclaimPolicy": "Delete",
			"claimRef": map[string]any{"namespace": "shop", "name": name},
		},
		"status": map[string]any{"phase": "Bound"},
	}
	for _, change := range changes {
		change(pv)
	}
	return pv
}

// TestWhatIsMadeAndDeletedMeanwhileIsNoOrphan: PersistentVolumes are read first, the volumes a minute and more after that.
func TestWhatIsMadeAndDeletedMeanwhileIsNoOrphan(t *testing.T) {
	controller := map[string]any{
		"kind": "Pod", "metadata": map[string]any{"namespace": "glusterfs-csi", "name": "controller", "labels": map[string]any{"app.kubernetes.io/component": inside.Controller}},
		"spec":   map[string]any{"containers": []any{map[string]any{"name": "driver"}}},
		"status": map[string]any{"containerStatuses": []any{map[string]any{"name": "driver", "ready": true}}},
	}
	released := func(pv map[string]any) { pv["status"] = map[string]any{"phase": "Released"} }
	deleted := func(pv map[string]any) { pv["metadata"].(map[string]any)["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
	before := []any{madeVolume("used"), madeVolume("lost"), madeVolume("gone"), madeVolume("released"), madeVolume("deleted"), madeVolume("left")}
	after := []any{madeVolume("used"), madeVolume("lost"), madeVolume("released", released), madeVolume("deleted", deleted), madeVolume("new"), madeVolume("newer")}
	isListed := false
	kubeconfig := serve(t, func(resource string, _ *http.Request) ([]any, bool) {
		switch {
		case resource == "configmaps":
			return []any{driversFile}, true
		case resource == "pods":
			return []any{controller}, true
		case resource == "persistentvolumes" && isListed:
			return after, true
		case resource == "persistentvolumes":
			return before, true
		}
		return nil, true
	})
	run := func(_ context.Context, _ inside.Pod, command []string) ([]byte, error) {
		if command[1] != "volume" {
			return []byte("[]"), nil
		}
		isListed = true
		return json.Marshal([]answers.Volume{{ID: "pi/gv0/used"}, {ID: "pi/gv0/new"}, {ID: "pi/gv0/left"}, {ID: "pi/gv0/nobodys"}})
	}
	var out, progress bytes.Buffer
	code := Run(t.Context(), Environment{Out: &out, Err: &progress, Run: run}, []string{"doctor", "-o", "name", "--kubeconfig", kubeconfig})
	var orphans []string
	for line := range strings.Lines(out.String()) {
		if about, isOrphan := strings.CutPrefix(line, "orphans/"); isOrphan {
			orphans = append(orphans, strings.TrimSpace(about))
		}
	}
	if have := strings.Join(orphans, ", "); have != "persistentvolume lost, volume pi/gv0/nobodys" {
		t.Errorf("exit %d, the orphans are %s\n%s%s", code, have, &out, &progress)
	}
}
