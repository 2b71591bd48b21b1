// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/starts"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// A client that runs, and does not find a brick again for its TLS, says so in its volume's health; and finds it when that is cured.
func TestAClientThatRunsSaysWhatKeepsItFromABrick(t *testing.T) {
	clients.LinkCredentials(t)
	p := newPool(t, "b", false)
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	write(t, path, clustersYAML((*pool).tls, p))
	secret(t, path, p.name, p.ca.Issue(t, "node", soon()), p.ca.PEM)
	h := clients.NewHost(t, gluster.WatchClusters(t.Context(), path, nil))
	c := clients.Ensure(t, h, p.gv0())
	stranger := testcluster.NewCA(t, "a stranger's CA")
	good := testcluster.TLS{Certificate: p.ca.Issue(t, "server", soon()), CAs: p.ca.PEM}
	for name, test := range map[string]struct {
		tls  testcluster.TLS
		want credentials.Fault
	}{
		"the brick's certificate has expired": {testcluster.TLS{Certificate: p.ca.Issue(t, "server", time.Now().Add(-time.Minute)), CAs: p.ca.PEM}, credentials.Unproven},
		"it is a stranger's":                  {testcluster.TLS{Certificate: stranger.Issue(t, "server", soon()), CAs: p.ca.PEM}, credentials.Unproven},
		"it does not know the client's CA":    {testcluster.TLS{Certificate: good.Certificate, CAs: stranger.PEM}, credentials.OwnOtherCA},
	} {
		t.Run(name, func(t *testing.T) {
			do(t, p.SetTLS(test.tls), p.KillBrick("gv0", 0), p.StartBrick("gv0", 0))
			testcluster.Eventually(t, patience, func() error { return refuses(c, test.want) })
			do(t, p.SetTLS(good))
			testcluster.Eventually(t, patience, func() error { return connected(c) })
			testcluster.Eventually(t, patience, func() error { return refuses(c, "") })
		})
	}
}

// refuses says whether the first brick refuses a client for this, "" if for nothing. The cure is said with it.
func refuses(c *client.Client, want credentials.Fault) error {
	refusals := c.Refusals()
	cure := starts.RefusalCure(context.Background(), c.Volume(), "127.0.0.1", refusals)
	if refusals["gv0-client-0"] == string(want) && (want == "" || strings.Contains(cure, want.Cure(credentials.IO, "of this cluster", "gv0"))) {
		return nil
	}
	log, err := os.ReadFile(filepath.Join(c.Slot(), "log"))
	return errors.Join(err, fmt.Errorf("its bricks refuse it for %q, want %q; %s; its log ends\n%s", refusals, want, cure, log[max(0, len(log)-6000):]))
}
