// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/reconnect"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/repair"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// introduction is how long it may take: a client is without bricks for 30 seconds before another one is tried.
const introduction = 3 * time.Minute

// TLS is turned on for a Gluster volume while a client runs that was started without any certificate. Another one takes its place, and
// what was mounted from it is there again.
func TestAClientFromBeforeTLSIsReplaced(t *testing.T) {
	clients.LinkCredentials(t)
	p := &pool{name: "a", ca: testcluster.NewCA(t, "CA")}
	tls := testcluster.TLS{Certificate: p.ca.Issue(t, "server", soon()), CAs: p.ca.PEM}
	p.Cluster = testcluster.New(t, testcluster.Options{TLS: &tls})
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	write(t, path, clustersYAML(func(*pool) string { return "" }, p))
	h := clients.NewHost(t, gluster.WatchClusters(t.Context(), path, nil))
	lookAfter(t, h)
	before := clients.Ensure(t, h, p.gv0())
	clients.MakeFile(t, before, "volume")
	target := clients.Bind(t, before, "/volume", 0)

	secret(t, path, p.name, p.ca.Issue(t, "node", soon()), p.ca.PEM)
	write(t, path, clustersYAML((*pool).tls, p))
	do(t, p.StopVolume("gv0"), p.SetOption("gv0", "client.ssl", "on"), p.SetOption("gv0", "server.ssl", "on"), p.StartVolume("gv0"))
	testcluster.Eventually(t, introduction, func() error {
		return testcluster.Within(time.Second, func() error {
			text, err := os.ReadFile(filepath.Join(target, "file"))
			if err == nil && string(text) != "data" {
				err = fmt.Errorf("the file has %q", text)
			}
			return errors.Join(err, os.WriteFile(filepath.Join(target, "other"), text, 0o600))
		})
	})
	checkOnlyTLS(t, p)
	if after := clients.Ensure(t, h, p.gv0()); after == before {
		t.Error("the client is the one from before")
	}
}

// lookAfter is all that a mounter does for its clients, until the test ends.
func lookAfter(t *testing.T, h *client.Host) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { h.Run(ctx) })
	all.Go(func() { repair.New(h, nil).Run(ctx) })
	all.Go(func() { reconnect.New(h, nil).Run(ctx) })
	t.Cleanup(func() { stop(); all.Wait() })
}
