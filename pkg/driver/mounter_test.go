// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestTheNodePluginIsKilledAndNobodyNotices(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v := p.create()
	target := p.publish(v, "pod")
	c := newPod(t)
	open, err := os.Create(filepath.Join(target, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	writes := keepWriting(t, open)
	before, device := p.clients(), mountAt(t, target).Device

	for i := range 3 {
		p.kill(p.nodeProcess)
		if got := c.append(filepath.Join(target, "f"), fmt.Sprint(i)); !strings.HasSuffix(got, fmt.Sprint(i)) {
			t.Errorf("without the node plugin: %s", got)
		}
		p.startNode()
		p.healthComesTo(v, target)
		code(t, p.tryPublish(v, target), codes.OK)
	}
	second := p.publish(v, "second")
	if got := mountAt(t, second).Device; got != device || mountAt(t, target).Device != device {
		t.Errorf("the device was %v, is %v", device, got)
	}
	if after := p.clients(); len(after) != 1 || after[0].PID != before[0].PID {
		t.Errorf("the clients were %+v, are %+v", before, after)
	}
	if err := writes(); err != nil {
		t.Errorf("a write failed meanwhile: %v", err)
	}
	open.Close()
	p.unpublish(v, target, second)
	code(t, p.delete(v), codes.OK)
}

func TestAMounterThatIsKilledAloneFindsItsClientsAgain(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v := p.create()
	target := p.publish(v, "pod")
	before := p.clients()
	open, err := os.Create(filepath.Join(target, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	writes := keepWriting(t, open)

	p.kill(p.mounterProcess)
	t.Run("running clients are used without it", func(*testing.T) {
		p.unpublish(v, p.publish(v, "meanwhile"))
		p.kill(p.nodeProcess)
		p.startNode()
		p.unpublish(v, p.publish(v, "meanwhile"))
		p.healthComesTo(v, target)
	})
	t.Run("a new one is refused with what to do", func(t *testing.T) {
		err := p.tryPublish(v, p.target("acl"), as(manyWriters, "acl"))
		code(t, err, codes.Unavailable, "the mounter of this host", "DaemonSet glusterfs-csi-mounter", "running clients go on")
		nothingAt(t, p.target("acl"))
	})
	p.startMounter()
	if after := p.clients(); len(after) != 1 || after[0].PID != before[0].PID || !after[0].Adopted {
		t.Errorf("the clients were %+v, are %+v", before, after)
	}
	p.unpublish(v, p.publish(v, "acl", as(manyWriters, "acl")))
	if err := writes(); err != nil {
		t.Errorf("a write failed meanwhile: %v", err)
	}
	open.Close()

	// It watches and repairs them as its own.
	c := newPod(t)
	c.append(filepath.Join(target, "f"), "kept")
	killClient(t, before[0])
	c.appends(t, filepath.Join(target, "f"), "kept")
	p.healthComesTo(v, target)
	p.unpublish(v, target)
	code(t, p.delete(v), codes.OK)
}

func killClient(t *testing.T, killed client.Info) {
	t.Helper()
	if killed.PID <= 1 {
		t.Fatalf("no such client: %+v", killed)
	}
	if err := unix.Kill(killed.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// This is what happens when the mounter's container ends: kubelet ends all its processes.
func TestAMounterThatDiesWithItsClientsRepairsThemByItself(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v, w := p.create(), p.create()
	type shown struct {
		target string
		flags  mount.Flags
	}
	all := []shown{
		{p.publish(v, "a"), 0}, {p.publish(v, "b"), 0}, {p.publish(w, "c"), 0},
		{p.publish(w, "acl", as(manyWriters, "acl", "noexec")), mount.NoExec},
	}
	reader := shown{p.publish(v, "reader", readOnly), mount.ReadOnly}
	containers := []pod{newPod(t), newPod(t)}
	for _, s := range all {
		containers[0].append(filepath.Join(s.target, "f-"+filepath.Base(s.target)), "kept")
	}
	before := p.clients()
	if len(before) != 2 {
		t.Fatalf("clients: %+v", before)
	}

	p.kill(p.nodeProcess) // so that nobody helps
	began := time.Now()
	if err := p.mounterProcess.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, client := range before {
		killClient(t, client)
	}
	_ = p.mounterProcess.Wait() // it was killed
	for _, s := range append(all, reader) {
		testcluster.Eventually(t, patience, func() error {
			if _, err := os.ReadDir(s.target); !errors.Is(err, unix.ENOTCONN) {
				return fmt.Errorf("%s is not dead: %w", s.target, err)
			}
			return nil
		})
	}
	restarted := time.Now()
	p.startMounter()
	for _, s := range all {
		path := filepath.Join(s.target, "f-"+filepath.Base(s.target))
		for _, c := range containers {
			c.appends(t, path, "kept")
		}
		if data, err := os.ReadFile(path); !strings.HasPrefix(string(data), "kept\n") {
			t.Errorf("on the host: %q, %v", data, err)
		}
	}
	t.Logf("all works again %v after the kill, %v after the new mounter was started",
		time.Since(began).Round(time.Millisecond), time.Since(restarted).Round(time.Millisecond))
	for _, s := range append(all, reader) {
		if got := mountAt(t, s.target).Flags; got != s.flags {
			t.Errorf("%s has the flags %s, had %s", s.target, got, s.flags)
		}
	}
	if got := containers[0].append(filepath.Join(reader.target, "f"), "x"); !strings.Contains(got, "read-only file system") {
		t.Errorf("through the read-only mount: %s", got)
	}

	p.startNode()
	p.healthComesTo(v, all[0].target)
	ctx, cancel := p.context()
	defer cancel()
	if _, err := p.node.NodeGetVolumeStats(ctx, statsRequest(v, all[0].target)); err != nil {
		t.Error(err)
	}
	if after := p.clients(); len(after) != 2 {
		t.Errorf("clients: %+v", after)
	}
	p.unpublish(v, all[0].target, all[1].target, reader.target)
	p.unpublish(w, all[2].target, all[3].target)
	code(t, p.delete(v), codes.OK)
	code(t, p.delete(w), codes.OK)
}

func TestHealthWhileTheMounterIsAway(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v := p.create()
	target := p.publish(v, "pod")
	p.healthComesTo(v, target)
	client := p.clients()[0]
	p.kill(p.mounterProcess)
	p.healthComesTo(v, target)
	killClient(t, client)
	p.healthComesTo(v, target, "INACCESSIBLE ClientDead: gv0")
	p.startMounter()
	p.healthComesTo(v, target)
	p.unpublish(v, target)
	code(t, p.delete(v), codes.OK)
}

func TestAMounterThatIsToldToEndLeavesItsClients(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v := p.create()
	target := p.publish(v, "pod")
	began := time.Now()
	if err := p.mounterProcess.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = p.mounterProcess.Wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := os.WriteFile(filepath.Join(target, "f"), nil, 0o600); err != nil {
		t.Error(err)
	}
	p.unpublish(v, target)
	code(t, p.delete(v), codes.OK)
}

func TestOneProcessOfAHostWatchesTheHealth(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v := p.create()
	target := p.publish(v, "pod")
	const metric = "glusterfs_csi_volume_health{"
	p.wantStatus("/metrics", 200, metric) // the mounter was started before, and would have told first
	mounter := &rig{t: t, log: p.mounterLog}
	if _, body := mounter.get("/metrics"); strings.Contains(body, metric) || !strings.Contains(body, `glusterfs_csi_clients{`) {
		t.Errorf("the mounter tells\n%s", body)
	}
	p.unpublish(v, target)
	code(t, p.delete(v), codes.OK)
}

func TestAMounterIsAskedForItsHealthThroughItsOwnSocket(t *testing.T) {
	dir := newDir(t)
	r := &rig{t: t, dir: dir, log: &lockedBuffer{}}
	ctx, cancel := context.WithCancel(logTo(r.log))
	o := modeOptions(dir, Mounter)
	d, err := New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	r.wantStatus("/healthz", 200, "ok")
	r.wantStatus("/readyz", 503, "clusters file")
	r.setClusters(clustersYAML(healthy(t).Servers(), "gv0"))
	r.wantStatus("/readyz", 200, "ok")
	r.wantStatus("/metrics", 200, `mode="mounter"`)
	_, socket, err := parseEndpoint(o.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	r.wantStatus("/healthz", 503, socket)
}
