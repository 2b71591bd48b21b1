// SPDX-License-Identifier: Apache-2.0

package glusterd

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// inClustersFile is the pool of a clusters file with these servers, whose glusterd wants TLS, and a Secret beside it.
func inClustersFile(t *testing.T, own testcluster.Certificate, cas []byte, servers ...string) Pool {
	t.Helper()
	dir := t.TempDir()
	files := map[string][]byte{
		"clusters.yaml": []byte("clusters: [{name: pi, servers: [" + strings.Join(servers, ", ") + "], volumes: [gv0], tls: {secretName: gluster, management: true}}]"),
		"tls/gluster/" + credentials.CertificateFile: own.PEM, "tls/gluster/" + credentials.KeyFile: own.Key, "tls/gluster/" + credentials.CAFile: cas,
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	clusters, err := gluster.WatchClusters(t.Context(), filepath.Join(dir, "clusters.yaml"), nil).Current()
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := clusters.Find(gluster.Volume{Cluster: "pi", Name: "gv0"})
	if err != nil {
		t.Fatal(err)
	}
	return PoolOf(cluster)
}

// newTLSServer is newServer over TLS.
func newTLSServer(t *testing.T, address string, own testcluster.Certificate, answer []byte) string {
	t.Helper()
	pair, err := tls.X509KeyPair(own.PEM, own.Key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort(address, Port), &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	answerAll(t, listener, answer)
	return address
}

func TestServersAreSpokenToAsTheClustersFileSays(t *testing.T) {
	ca, stranger := testcluster.NewCA(t, "CA"), testcluster.NewCA(t, "stranger")
	own := ca.Issue(t, "node", time.Now().Add(time.Hour))
	secure := newTLSServer(t, "127.87.3.1", ca.Issue(t, "server", time.Now().Add(time.Hour)), reply)
	plain := newServer(t, "127.87.3.2", reply)
	for name, test := range map[string]struct {
		pool Pool
		want credentials.Fault
	}{
		"TLS to who speaks it":             {inClustersFile(t, own, ca.PEM, secure), ""},
		"TLS to who is not known":          {inClustersFile(t, own, stranger.PEM, secure), credentials.OtherCA},
		"TLS to who speaks plain text":     {inClustersFile(t, own, ca.PEM, plain), credentials.SpeaksPlain},
		"plain text to who speaks it":      {pool(plain), ""},
		"plain text to who wants TLS":      {pool(secure), credentials.WantsTLS},
		"one of two answers":               {inClustersFile(t, own, ca.PEM, plain, secure), ""},
		"one is away, the other wants TLS": {pool(refusing, secure), credentials.WantsTLS},
	} {
		t.Run(name, func(t *testing.T) {
			answers := test.pool.Probe(t.Context())
			if got := answers.Fault(); got != test.want {
				t.Errorf("got %q, want %q: %s", got, test.want, answers)
			}
			if silent := test.pool.AllSilent(t.Context()); silent != "" {
				t.Errorf("it is taken for silent: %s", silent)
			}
		})
	}
}

func TestWithoutCertificatesNothingIsKnownOfServers(t *testing.T) {
	p := inClustersFile(t, testcluster.Certificate{}, nil, refusing)
	if silent := p.AllSilent(t.Context()); silent != "" {
		t.Errorf("they are taken for silent: %s", silent)
	}
	if trouble, _ := p.Trouble(t.Context(), refusing); !strings.Contains(trouble, credentials.ErrUnusable.Error()) {
		t.Errorf("the trouble is %q", trouble)
	}
}
