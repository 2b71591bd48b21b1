// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package monitoring

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// patience is how long a test waits for what should take seconds, on a busy machine.
const patience = 2 * time.Minute

// processes are those of the driver on one node that has its controller, too, as the chart runs them.
type processes struct {
	t       *testing.T
	dir     string
	binary  string
	targets map[string]string // mode → address of /metrics

	controller, node *testdriver.Caller
}

func (p *processes) socket(mode string) string { return filepath.Join(p.dir, mode+".sock") }

// startProcesses runs the driver's three processes on a cluster until the test ends. One more cluster of the clusters file is
// gone.
func startProcesses(t *testing.T, c *testcluster.Cluster) *processes {
	t.Helper()
	p := &processes{t: t, dir: filepath.Join(c.Dir(), "driver"), targets: map[string]string{}}
	clusters := filepath.Join(p.dir, "clusters.yaml")
	kubelet := filepath.Join(p.dir, "kubelet")
	p.binary = filepath.Join(p.dir, "glusterfs-csi")
	err := errors.Join(os.MkdirAll(kubelet, 0o755), c.ClustersFile(clusters), testdriver.Build(t.Context(), p.binary, testdriver.Source, false))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(clusters, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString("  - {name: gone, servers: [127.171.99.1], volumes: [gv0]}\n")
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	common := []string{"--clusters", clusters}
	nodeState := []string{"--state-dir", filepath.Join(p.dir, "node")}
	p.start("controller", append(common, "--state-dir", filepath.Join(p.dir, "state"))...)
	p.start("mounter", append(common, nodeState...)...)
	p.start("node", append(append(common, nodeState...), "--mounter", "unix://"+p.socket("mounter"),
		"--node-id", testdriver.NodeID, "--kubelet-dir", kubelet)...)
	p.controller, p.node = p.dial("controller"), p.dial("node")
	return p
}

func (p *processes) start(mode string, args ...string) {
	p.t.Helper()
	p.targets[mode] = freeAddress(p.t)
	run(p.t, p.binary, append([]string{mode, "--endpoint", "unix://" + p.socket(mode), "--http-endpoint", p.targets[mode]}, args...)...)
}

func (p *processes) dial(mode string) *testdriver.Caller {
	p.t.Helper()
	caller, err := testdriver.Dial("unix://" + p.socket(mode))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = caller.Close() })
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if _, err := caller.Identity.Probe(ctx, &csi.ProbeRequest{}, grpc.WaitForReady(true)); err != nil {
		p.t.Fatal(err)
	}
	return caller
}

// freeAddress is one that nobody listens on at this moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// run runs a program until the test ends. What it has said is shown if the test fails.
func run(t *testing.T, program string, args ...string) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
		if err != nil || t.Failed() {
			t.Logf("%s %v: %v\n%s", filepath.Base(program), args, err, output.Bytes())
		}
	})
}
