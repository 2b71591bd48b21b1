// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestACertificateIsSpokenOfBeforeItExpires(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	const text = "clusters: [{name: a, servers: [a], volumes: [v, w], tls: {secretName: has}}, {name: b, servers: [b], volumes: [v], tls: {secretName: lacks}}, {name: c, servers: [c], volumes: [v]}]"
	clusters, err := gluster.ParseClustersAt(path, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ca := testcluster.NewCA(t, "CA")
	end := time.Now().Add(time.Hour)
	own := ca.Issue(t, "node", end)
	dir := filepath.Join(filepath.Dir(path), "tls", "has")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{credentials.CertificateFile: own.PEM, credentials.KeyFile: own.Key, credentials.CAFile: ca.PEM} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		now      time.Time
		severity answers.Severity
		says     string
	}{
		{end.Add(-30 * 24 * time.Hour), answers.OK, "valid until"},
		{end.Add(-7 * 24 * time.Hour), answers.Warning, "expires on"},
		{end.Add(time.Minute), answers.Error, "has expired on"},
	} {
		found := certificates(clusters, test.now)
		if len(found) != 2 || found[0].Severity != test.severity || !strings.Contains(found[0].Message, test.says) || found[0].About != "secret has" {
			t.Errorf("at %v found %+v, want %s that says %q", test.now, found, test.severity, test.says)
		}
		if len(found) == 2 && (found[1].Severity != answers.Error || !strings.Contains(found[1].Message, "make Secret lacks")) {
			t.Errorf("of the Secret that is not there, found %+v", found[1])
		}
	}
}
