// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mounter"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// panel is one of the dashboard.
type panel struct {
	Title   string
	Targets []struct{ Expr, LegendFormat string }

	FieldConfig struct{ Defaults struct{ Unit string } }
}

func panels(t *testing.T) (all []panel) {
	t.Helper()
	text, err := os.ReadFile(deployed + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if len(p.Targets) > 0 {
			all = append(all, p)
		}
	}
	return all
}

// TestEveryQueryHasAnAnswer is about names: a query of a metric or label that does not exist has none, and says nothing for ever.
func TestEveryQueryHasAnAnswer(t *testing.T) {
	cluster := testcluster.New(t, testcluster.Options{})
	driver := startProcesses(t, cluster)
	file, alerts := rules(t)
	p := startPrometheus(t, file, driver.targets)
	eventually(t, func() error {
		series, err := p.ask(`glusterfs_csi_trash_entries`)
		if err == nil && series == 0 {
			err = errors.New("the controller has told nothing of the trash yet")
		}
		return err
	})
	began := time.Now()
	use(t, driver, "pvc")

	canBeLookedAt(t, driver)

	queries := map[string]string{}
	for _, a := range alerts {
		queries[a.question(t)] = "alert " + a.Alert
	}
	for _, panel := range panels(t) {
		for _, target := range panel.Targets {
			queries[target.Expr] = "panel " + panel.Title
		}
	}
	if len(queries) < 40 {
		t.Errorf("only %d queries", len(queries))
	}
	for query, of := range queries {
		if strings.Contains(query, "glusterfs_csi_dead_files") {
			continue // it is there only while a pod keeps such files, and here is no pod
		}
		eventually(t, func() error {
			series, err := p.ask(query)
			if err == nil && series == 0 {
				err = fmt.Errorf("%s: no answer to %s", of, query)
			}
			return err
		})
	}
	eventually(t, func() error {
		firing, err := p.firing()
		if err == nil && !firing["GlusterFSCSIClientDied"] {
			err = fmt.Errorf("a client has died, and of the alerts fire %v", firing)
		}
		return err
	})
	if *picture != "" {
		for i := 0; time.Since(began) < *pictureTime; i++ {
			use(t, driver, fmt.Sprintf("more-%d", i))
		}
		draw(t, p, began)
	}
}

func eventually(t *testing.T, done func() error) {
	t.Helper()
	testcluster.Eventually(t, patience, done)
}

// canBeLookedAt runs `glusterfs-csi debug` beside each process.
func canBeLookedAt(t *testing.T, p *processes) {
	t.Helper()
	for mode, does := range map[string]string{"controller": "manager.(*Manager).maintainer", "node": "health.(*Observer).Watch", "mounter": "repair.(*Repairer).Run"} {
		dir := map[bool]string{true: "state", false: "node"}[mode == "controller"]
		for command, want := range map[string]string{"goroutines": does, "log-level": "0", "metrics": `mode="` + mode + `"`} {
			output, err := exec.CommandContext(t.Context(), p.binary, "debug", command, "--process", mode, "--state-dir", filepath.Join(p.dir, dir)).CombinedOutput()
			if err != nil || !strings.Contains(string(output), want) {
				t.Errorf("%s of %s: %v: %.300s", command, mode, err, output)
			}
		}
	}
}

// use does what a cluster does in a day: volumes are made, deleted and mounted, a client dies, and a Gluster volume is not there.
func use(t *testing.T, p *processes, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	onGV0 := func(r *csi.CreateVolumeRequest) {
		r.Parameters = map[string]string{"cluster": testcluster.Name, "volume": "gv0"}
	}
	var last *csi.Volume
	for i := range 5 {
		v, err := p.controller.Create(ctx, fmt.Sprintf("%s-%d", name, i), onGV0)
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && i%2 == 1 {
			err = p.controller.Delete(ctx, last)
		}
		if err != nil {
			t.Fatal(err)
		}
		last = v
	}
	gone, end := context.WithTimeout(ctx, 10*time.Second)
	defer end()
	if _, err := p.controller.Create(gone, name+"-gone", func(r *csi.CreateVolumeRequest) {
		r.Parameters = map[string]string{"cluster": "gone", "volume": "gv0"}
	}); err == nil {
		t.Error("a volume was made on a cluster that is gone")
	}
	target := filepath.Join(p.dir, "kubelet", name)
	if err := p.node.Publish(ctx, last, target); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.node.Unpublish(context.Background(), last, target); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(target, "file"), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	clients, err := mounter.NewClient(p.socket("mounter"), "test", "").List(ctx)
	if err != nil || len(clients) != 1 {
		t.Fatalf("the mounter has the clients %+v: %v", clients, err)
	}
	if err := unix.Kill(clients[0].PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := os.ReadFile(filepath.Join(target, "file"))
		return err
	})
}
