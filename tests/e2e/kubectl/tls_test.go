// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestAClaimIsToldWhatIsWrongWithTLS: bricks want it, and three clusters of the clusters file name them, each with a fault of its own. All
// that there is to see, and what a pod is told, is in tests/tls.
func TestAClaimIsToldWhatIsWrongWithTLS(t *testing.T) {
	clients.LinkCredentials(t)
	w := newShop(t)
	ca, stranger := testcluster.NewCA(t, "the servers' CA"), testcluster.NewCA(t, "a stranger's CA")
	soon := time.Now().Add(time.Hour)
	tls := testcluster.TLS{Certificate: ca.Issue(t, "server", soon), CAs: ca.PEM}
	servers := testcluster.New(t, testcluster.Options{TLS: &tls})
	if err := errors.Join(servers.StopVolume("gv0"), servers.SetOption("gv0", "client.ssl", "on"), servers.SetOption("gv0", "server.ssl", "on"), servers.StartVolume("gv0")); err != nil {
		t.Fatal(err)
	}
	secret := func(name string) string { return filepath.Join(filepath.Dir(driver.Clusters), "tls", name) }
	good, expired := ca.Issue(t, "node", soon), ca.Issue(t, "node", time.Now().Add(-time.Minute))
	clients.WriteSecret(t, secret("of-another-ca"), good, stranger.PEM)
	clients.WriteSecret(t, secret("expired"), expired, ca.PEM)
	clients.WriteSecret(t, secret("plain"), good, ca.PEM)
	clusters := func(inPlainText string) {
		t.Helper()
		text := pool.ClustersYAML()
		for _, name := range []string{"of-another-ca", "expired", "plain"} {
			text += fmt.Sprintf("  - name: %s\n    servers: [%s]\n    volumes: [gv0]\n", name, strings.Join(servers.Servers(), ", "))
			if name != inPlainText {
				text += fmt.Sprintf("    tls: {secretName: %s}\n", name)
			}
		}
		if err := errors.Join(os.WriteFile(driver.Clusters+".new", []byte(text), 0o600), os.Rename(driver.Clusters+".new", driver.Clusters)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := pool.ClustersFile(driver.Clusters); err != nil {
			t.Error(err)
		}
	})
	clusters("plain")
	for name, says := range map[string]credentials.Fault{"of-another-ca": credentials.OtherCA, "expired": credentials.OwnExpired, "plain": credentials.NoneToShow} {
		w.make(map[string]any{
			"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": map[string]any{"name": name},
			"provisioner": "glusterfs.csi.gluster.org", "parameters": map[string]any{"cluster": name},
		}, "")
		w.makeClaim("shop", name, name)
		t.Log(w.told("PersistentVolumeClaim", "shop", name, "ProvisioningFailed", string(says)).Object["message"])
	}

	clients.WriteSecret(t, secret("of-another-ca"), good, ca.PEM)
	clients.WriteSecret(t, secret("expired"), good, ca.PEM)
	clusters("")
	for _, name := range []string{"of-another-ca", "expired", "plain"} {
		w.phase(claims, "shop", name, "Bound")
		w.delete("shop", name)
	}
}
