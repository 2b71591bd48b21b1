// SPDX-License-Identifier: Apache-2.0

//go:build !quick

// Package tls is TLS to real servers: with their bricks, and with glusterd itself (management encryption).
package tls

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

// patience is how long a test waits for what should take milliseconds, on a machine that is busy with other tests.
const patience = 3 * time.Minute

// do fails the test at the first error.
func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func soon() time.Time { return time.Now().Add(time.Hour) }

// pool is a cluster whose bricks speak TLS, and glusterd too where management says so.
type pool struct {
	*testcluster.Cluster

	name       string // in the clusters file, and of its Secret
	ca         *testcluster.CA
	management bool
}

func newPool(t *testing.T, name string, management bool) *pool {
	t.Helper()
	p := &pool{name: name, ca: testcluster.NewCA(t, "CA of "+name), management: management}
	tls := testcluster.TLS{Certificate: p.ca.Issue(t, "server of "+name, soon()), CAs: p.ca.PEM, Management: management}
	p.Cluster = testcluster.New(t, testcluster.Options{TLS: &tls})
	do(t, p.StopVolume("gv0"), p.SetOption("gv0", "client.ssl", "on"), p.SetOption("gv0", "server.ssl", "on"), p.StartVolume("gv0"))
	return p
}

func (p *pool) gv0() gluster.Volume { return gluster.Volume{Cluster: p.name, Name: "gv0"} }

// tls is what the clusters file says of it.
func (p *pool) tls() string {
	return fmt.Sprintf("\n    tls: {secretName: %s, management: %t}", p.name, p.management)
}

// clustersYAML is a clusters file with these clusters, and what it says of their TLS.
func clustersYAML(tls func(*pool) string, pools ...*pool) string {
	text := "clusters:"
	for _, p := range pools {
		text += fmt.Sprintf("\n  - name: %s\n    servers: [%s]\n    volumes: [gv0]%s", p.name, strings.Join(p.Servers(), ", "), tls(p))
	}
	return text + "\n"
}

// secret writes the files of a Secret beside a clusters file, as kubelet does.
func secret(t *testing.T, clusters, name string, own testcluster.Certificate, cas ...[]byte) {
	t.Helper()
	clients.WriteSecret(t, filepath.Join(filepath.Dir(clusters), "tls", name), own, cas...)
}

// write replaces a file in one step.
func write(t *testing.T, path, content string) {
	t.Helper()
	do(t, os.WriteFile(path+".aside", []byte(content), 0o600), os.Rename(path+".aside", path))
}
