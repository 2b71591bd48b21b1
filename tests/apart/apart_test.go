// SPDX-License-Identifier: Apache-2.0

//go:build !quick

// Package apart runs the mounter as a container runtime does, in control groups and a root of its own, and ends it as one does: by everything
// that is in any of those groups, and by the removal of the root.
package apart

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"

	containers "github.com/glusterfs-csi/glusterfs-csi/tests/container"
)

const patience = time.Minute

func TestMain(m *testing.M) {
	if text := os.Getenv(variable); text != "" {
		runContainer(text)
	}
	containers.Main(clients.Verbs())
	testcluster.Main(m)
}

func TestClientsOutliveTheContainerOfTheirMounter(t *testing.T) {
	n := newNode(t)
	i := newImage(t, "10.3-1")
	first := n.startMounter("first", i)
	p := n.publish("volume")
	first.kill()
	i.remove(t)
	p.isUndisturbed()

	// A change of the Gluster volume has the client load a translator that it did not have, from where its programs are.
	const option, translator = "performance.nl-cache", "/nl-cache.so"
	if loaded := maps(t, p.pid); strings.Contains(loaded, translator) {
		t.Fatalf("the client has %s loaded before it is wanted", translator)
	}
	if err := n.cluster.SetOption("gv0", option, "on"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.cluster.ResetOption("gv0", option); err != nil {
			t.Error(err)
		}
	})
	n.eventually(func() error {
		if !strings.Contains(maps(t, p.pid), translator) {
			return fmt.Errorf("client process %d has not loaded %s", p.pid, translator)
		}
		return nil
	})
	p.isUndisturbed()

	second := n.startMounter("second", newImage(t, "10.3-2"))
	adopted, found := n.clients()[p.pid]
	if !found || !adopted.Adopted || !strings.HasPrefix(adopted.Program, "10.3-1-") {
		t.Errorf("the next mounter has %+v, not process %d with the first image's programs", n.clients(), p.pid)
	}
	n.rotates(p.pid)
	other := n.publish("other")
	if other.pid != p.pid {
		t.Errorf("a volume of the same Gluster volume has another client, process %d", other.pid)
	}
	second.kill()
	third := n.startMounter("third", newImage(t, "10.3-2"))
	p.isUndisturbed()
	other.isUndisturbed()

	// Without pods, as when the driver is removed, nothing is left.
	for _, p := range []*pod{p, other} {
		p.do("stop")
		p.Stop()
		p.unpublish()
	}
	n.host.Close() // the node plugin ends at the same time
	third.stop()
	n.eventually(func() error { return gone(p.pid) })
	n.isClean()
}

// maps are what a process has mapped.
func maps(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func gone(pid int) error {
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		return fmt.Errorf("process %d still runs", pid)
	}
	return nil
}

// isClean fails if clients have left control groups, mounts or programs.
func (n *node) isClean() {
	n.t.Helper()
	for _, h := range n.pods.hierarchies {
		if _, err := os.Stat(filepath.Join(h, testGroup, "glusterfs-csi")); err == nil {
			n.t.Errorf("control groups of clients are left in %s", h)
		}
	}
	entries, err := mount.List()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Target, n.dir+"/") {
			n.t.Errorf("left mounted: %+v", e)
		}
	}
	left, err := filepath.Glob(n.path("state/programs/*"))
	if err != nil || len(left) > 0 {
		n.t.Errorf("programs are left: %v, %v", left, err)
	}
}
