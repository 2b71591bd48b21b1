// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/repair"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestAClientThatHangsIsKilledAndRepaired(t *testing.T) {
	cluster := testcluster.Shared(t, testcluster.Options{})
	h := clients.NewHost(t, clients.ClustersFile(t, cluster.Servers()))
	c := clients.Ensure(t, h, clients.GV0())
	clients.MakeFile(t, c, "hung")
	target := clients.Bind(t, c, "/hung", 0)
	pod := clients.NewContainer(t)
	for n := range 3 { // it answers, however long it has not been asked
		h.Later(time.Duration(n) * client.HungLimit)
		h.EndHung(t.Context())
		testcluster.Eventually(t, clients.Patience, func() error { return isAsked(c, false) })
		clients.CheckWorks(t, c)
	}
	h.Later(0)
	clients.Signal(t, c, unix.SIGSTOP)
	hangs(t, h, c)
	h.Later(client.HungLimit)
	testcluster.Eventually(t, clients.Patience, func() error {
		h.EndHung(t.Context())
		if !c.HasEnded() {
			return errors.New("it still hangs")
		}
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	var repairing sync.WaitGroup
	repairing.Go(func() { repair.New(h, nil).Run(ctx) })
	defer func() { stop(); repairing.Wait() }()
	testcluster.Eventually(t, clients.Patience, func() error {
		if got := pod.Does("read", filepath.Join(target, "file")); got != `"data" <nil>` {
			return errors.New(got)
		}
		return nil
	})
}

// hangs waits until a client that was stopped is asked and does not answer, and checks that it is not killed for that at once.
func hangs(t *testing.T, h *client.Host, c *client.Client) {
	t.Helper()
	testcluster.Eventually(t, clients.Patience, func() error {
		h.EndHung(t.Context()) // what it was asked before all its threads had stopped it may have answered
		return isAsked(c, true)
	})
	h.EndHung(t.Context())
	if c.HasEnded() {
		t.Error("it was killed at once")
	}
}

// isAsked fails unless a client is being asked for its state, or is not.
func isAsked(c *client.Client, want bool) error {
	if asked := c.Observed().ReadAsked; asked.IsZero() == want {
		return fmt.Errorf("it is being asked since %v", asked)
	}
	return nil
}

// A mounter that was restarted has no other reason to ask its clients.
func TestAnAdoptedClientThatHangsIsKilled(t *testing.T) {
	clusters := clients.ClustersFile(t, testcluster.Shared(t, testcluster.Options{}).Servers())
	state := t.TempDir()
	first, err := client.NewHost(state, clusters)
	if err != nil {
		t.Fatal(err)
	}
	clients.Ensure(t, first, clients.GV0())
	first.Close()
	h := clients.HostIn(t, state, clusters)
	adopted := h.Running()
	if len(adopted) != 1 {
		t.Fatalf("%d clients were adopted", len(adopted))
	}
	testcluster.Eventually(t, clients.Patience, func() error {
		if h.EndHung(t.Context()); adopted[0].Observed().Reading == nil {
			return errors.New("it has not told its state")
		}
		return nil
	})
	clients.Signal(t, adopted[0], unix.SIGSTOP)
	hangs(t, h, adopted[0])
	h.Later(client.HungLimit)
	testcluster.Eventually(t, clients.Patience, func() error {
		if h.EndHung(t.Context()); !adopted[0].HasEnded() {
			return errors.New("it still hangs")
		}
		return nil
	})
	h.Adopt(t.Context())
	if kept, err := h.KeptMounts(); len(kept) != 1 || err != nil {
		t.Errorf("its mount is not kept for the repair: %+v, %v", kept, err)
	}
}
