// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package apart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// rotates fails unless the mounter keeps the log of this client small, which an earlier one has started in another mount namespace.
func (n *node) rotates(pid int) {
	n.t.Helper()
	const tooLarge = 6 << 20
	log := n.path("state/clients/pi/gv0/default/log")
	if err := os.Truncate(log, tooLarge); err != nil {
		n.t.Fatal(err)
	}
	n.eventually(func() error {
		if _, err := os.Stat(log + ".1"); err != nil {
			return err
		}
		var open []string
		descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, fd := range descriptors {
			if target, _ := os.Readlink(fd); strings.Contains(filepath.Base(target), "log") { // one that was closed meanwhile has none
				open = append(open, filepath.Base(target))
			}
		}
		if len(open) != 1 || open[0] != "log" {
			return fmt.Errorf("the client has open %v, %w", open, errors.Join(err, errors.New("not its new log alone")))
		}
		return nil
	})
}

// What a mounter was starting when its container was killed waits for a silent server for ever, in a control group of its own. The next one ends it.
func TestAClientThatWasHalfStartedIsEndedByTheNextMounter(t *testing.T) {
	n := newNode(t)
	good, err := os.ReadFile(n.path("clusters.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	silent := testcluster.SilentServer(t, n.cluster.Neighbour(211))
	text := fmt.Sprintf("clusters:\n- name: pi\n  servers: [%s]\n  volumes: [gv0]\n", silent)
	if err := os.WriteFile(n.path("clusters.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	i := newImage(t, "10.3-1")
	first := n.startMounter("first", i)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() { _, err := n.mounter.Ensure(ctx, clients.GV0(), nil); asked <- err }()
	var pid int
	n.eventually(func() error {
		for _, file := range n.groups() {
			text, _ := os.ReadFile(file)
			if pid, _ = strconv.Atoi(strings.TrimSpace(string(text))); pid > 0 {
				return nil
			}
		}
		return errors.New("no client is being started")
	})
	first.kill()
	cancel()
	if err := <-asked; err == nil {
		t.Error("there was a client")
	}
	if err := unix.Kill(pid, 0); err != nil {
		t.Fatalf("the client that was being started has ended with the container: %v", err)
	}
	if err := os.WriteFile(n.path("clusters.yaml"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	n.startMounter("second", i)
	p := n.publish("volume")
	n.eventually(func() error { return gone(pid) })
	p.isUndisturbed()
}
