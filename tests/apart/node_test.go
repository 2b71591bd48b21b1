// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package apart

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mounter"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"

	containers "github.com/glusterfs-csi/glusterfs-csi/tests/container"
)

// node is a node with the node plugin's part, in this process.
type node struct {
	t       *testing.T
	cluster *testcluster.Cluster
	pods    *pods
	dir     string // shared by host and containers
	host    *client.Host
	mounter *mounter.Client
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, cluster: testcluster.Shared(t, testcluster.Options{}), pods: newPods(t)}
	dir, err := os.MkdirTemp("", "n") //nolint:usetesting // a path that is short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	n.dir = dir
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mount.Detach(dir); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	if err := n.cluster.ClustersFile(n.path("clusters.yaml")); err != nil {
		t.Fatal(err)
	}
	n.mounter = mounter.NewClient(n.path("mounter.sock"), "test", "")
	return n
}

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

// startMounter runs the mounter in a container, and returns when it serves.
func (n *node) startMounter(name string, i image, args ...string) *container {
	n.t.Helper()
	args = append([]string{"mounter", "--endpoint", "unix://" + n.path("mounter.sock"), "--state-dir", n.path("state"),
		"--clusters", n.path("clusters.yaml")}, args...)
	c := n.pods.start(n.t, name, i, []string{n.dir}, args...)
	n.eventually(func() error { _, err := n.mounter.List(n.t.Context()); return err })
	if n.host == nil {
		n.connect()
	}
	return c
}

// connect makes this process the node plugin.
func (n *node) connect() {
	n.t.Helper()
	clusters := gluster.WatchClusters(n.t.Context(), n.path("clusters.yaml"), nil)
	host, err := client.NewRemoteHost(n.path("state"), clusters, n.mounter)
	if err != nil {
		n.t.Fatal(err)
	}
	n.host = host
	n.t.Cleanup(host.Close)
}

func (n *node) eventually(f func() error) {
	n.t.Helper()
	testcluster.Eventually(n.t, patience, f)
}

// publish binds a directory of gv0, of the client with these options, for a pod, and starts one that writes there.
func (n *node) publish(name string, options ...string) *pod {
	n.t.Helper()
	p := &pod{node: n, target: n.path(name)}
	c := clients.Ensure(n.t, n.host, clients.GV0(), options...)
	volume := filepath.Join(c.Mountpoint(), name)
	if err := os.MkdirAll(volume, 0o755); err != nil {
		n.t.Fatal(err)
	}
	fd, err := unix.Open(volume, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		n.t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := os.Mkdir(p.target, 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := mount.Bind(fd, p.target, 0); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(p.unpublish)
	p.pid = c.Info().PID
	p.Container = new(containers.Container).Start(n.t)
	p.do("load", filepath.Join(p.target, "records"))
	p.goesOn()
	return p
}

// pod is a container with a volume, which writes there.
type pod struct {
	*containers.Container

	node   *node
	target string
	pid    int // of the client that serves it
}

func (p *pod) do(verb string, args ...string) string {
	p.node.t.Helper()
	data, err := p.Do(verb, args...)
	if err != nil {
		p.node.t.Fatal(err)
	}
	return string(data)
}

// counts are how many records it has acknowledged, and how many errors it has had.
func (p *pod) counts() (acknowledged, errors int) {
	p.node.t.Helper()
	if _, err := fmt.Sscan(p.do("progress"), &acknowledged, &errors); err != nil {
		p.node.t.Fatal(err)
	}
	return acknowledged, errors
}

// goesOn waits until more is acknowledged than now.
func (p *pod) goesOn() {
	p.node.t.Helper()
	before, _ := p.counts()
	p.node.eventually(func() error {
		if now, errors := p.counts(); now <= before {
			return fmt.Errorf("%s has %d records acknowledged, and %d errors", p.target, now, errors)
		}
		return nil
	})
}

// isUndisturbed fails if it has had an error.
func (p *pod) isUndisturbed() {
	p.node.t.Helper()
	p.goesOn()
	acknowledged, errors := p.counts()
	if errors > 0 {
		p.node.t.Errorf("%s has had %d errors in %d records", p.target, errors, acknowledged)
	}
}

// device is that of the volume, in the pod's mount namespace.
func (p *pod) device(t *testing.T) mount.Device {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	entries, err := mount.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(entries) {
		if e.Target == p.target {
			return e.Device
		}
	}
	return mount.Device{}
}

func (p *pod) unpublish() {
	p.node.t.Helper()
	if err := mount.Detach(p.target); err != nil {
		p.node.t.Error(err)
	}
}

// clients are those that the mounter has, by their process IDs.
func (n *node) clients() map[int]client.Info {
	n.t.Helper()
	all, err := n.mounter.List(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	byPID := map[int]client.Info{}
	for _, info := range all {
		byPID[info.PID] = info
	}
	return byPID
}
