// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client_test

import (
	"context"
	"errors"
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
	const limit = time.Second
	h.SetHungLimit(limit)
	for began := time.Now(); time.Since(began) < 2*limit; {
		h.EndHung(t.Context())
		clients.CheckWorks(t, c)
	}
	clients.Signal(t, c, unix.SIGSTOP)
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
	h.SetHungLimit(time.Second)
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
