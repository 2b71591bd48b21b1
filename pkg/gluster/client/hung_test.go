// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
