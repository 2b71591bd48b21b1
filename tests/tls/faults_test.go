// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tls

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/doctor"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// Each is said by the calls that a claim's and a pod's events quote. When the last is cured, without a restart, volumes of both
// clusters are there at once. In between there is no moment in which all is well: a client that has begun to work goes on.
func TestWhatIsWrongWithTLSIsSaidAndCured(t *testing.T) {
	clients.LinkCredentials(t)
	a, b := newPool(t, "a", true), newPool(t, "b", false)
	d := testdriver.ServeOn(t, a.Cluster, clustersYAML((*pool).tls, a, b))
	stranger := testcluster.NewCA(t, "a stranger's CA")
	good := func(p *pool) { secret(t, d.Clusters, p.name, p.ca.Issue(t, "node", soon()), p.ca.PEM) }

	for _, fault := range []struct {
		name       string
		make       func(p *pool)
		management string // what is said of a, where glusterd finds it
		io         string // what is said of b, where bricks do
		cure       string
	}{
		{
			"there is no Secret", func(p *pool) { do(t, os.RemoveAll(filepath.Join(filepath.Dir(d.Clusters), "tls", p.name))) },
			credentials.ErrUnusable.Error(), credentials.ErrUnusable.Error(), "make Secret",
		},
		{
			"its CA is not the servers'", func(p *pool) { secret(t, d.Clusters, p.name, p.ca.Issue(t, "node", soon()), stranger.PEM) },
			string(credentials.OtherCA), string(credentials.OtherCA), "into ca.crt of Secret",
		},
		{
			"its certificate is a stranger's", func(p *pool) { secret(t, d.Clusters, p.name, stranger.Issue(t, "node", soon()), p.ca.PEM) },
			string(credentials.OwnOtherCA), string(credentials.OwnOtherCA), "glusterfs.ca of the servers",
		},
		{
			"its certificate has expired", func(p *pool) {
				secret(t, d.Clusters, p.name, p.ca.Issue(t, "node", time.Now().Add(-time.Minute)), p.ca.PEM)
			},
			string(credentials.OwnExpired), string(credentials.OwnExpired), "renew the certificate in Secret",
		},
		{
			"the clusters file names none", func(*pool) { write(t, d.Clusters, clustersYAML(func(*pool) string { return "" }, a, b)) },
			string(credentials.WantsTLS), string(credentials.NoneToShow), "name a Secret with this cluster's certificates in the clusters file",
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			fault.make(a)
			fault.make(b)
			checkSaid(t, d, a, fault.management, fault.cure)
			checkSaid(t, d, b, fault.io, fault.cure)
			checkFound(t, d, fault.management, fault.io)
		})
	}
	t.Run("glusterd speaks plain text", func(t *testing.T) {
		write(t, d.Clusters, strings.ReplaceAll(clustersYAML((*pool).tls, a, b), "management: false", "management: true"))
		checkSaid(t, d, b, string(credentials.SpeaksPlain), "touch /var/lib/glusterd/secure-access")
	})
	t.Run("the certificate of bricks has expired", func(t *testing.T) {
		tls := testcluster.TLS{Certificate: b.ca.Issue(t, "server", time.Now().Add(-time.Minute)), CAs: b.ca.PEM}
		do(t, b.StopVolume("gv0"), b.SetTLS(tls), b.StartVolume("gv0"))
		good(b)
		write(t, d.Clusters, clustersYAML((*pool).tls, a, b))
		checkSaid(t, d, b, string(credentials.Expired), "renew glusterfs.pem of the servers")
		tls.Certificate = b.ca.Issue(t, "server", soon())
		do(t, b.SetTLS(tls)) // which bricks that run take for each connection
	})
	t.Run("and then all is well", func(t *testing.T) {
		good(a)
		for _, p := range []*pool{a, b} {
			checkWorks(t, d, p)
			checkOnlyTLS(t, p)
		}
	})
	t.Run("and with TLS to glusterd alone", func(t *testing.T) {
		do(t, a.StopVolume("gv0"), a.SetOption("gv0", "client.ssl", "off"), a.SetOption("gv0", "server.ssl", "off"), a.StartVolume("gv0"))
		checkWorks(t, d, a)
	})
}

// checkSaid makes sure that CreateVolume and NodePublishVolume fail, and say this and the cure before what the client has logged.
func checkSaid(t *testing.T, d *testdriver.Driver, p *pool, says, cure string) {
	t.Helper()
	for call, do := range map[string]func(ctx context.Context) error{
		"CreateVolume": func(ctx context.Context) error {
			_, err := d.Create(ctx, "pvc-"+p.name, inCluster(p))
			return err
		},
		"NodePublishVolume": func(ctx context.Context) error {
			v := &csi.Volume{VolumeId: p.name + "/gv0/pvc-" + p.name, VolumeContext: map[string]string{"path": "pvc-" + p.name}}
			return d.Publish(ctx, v, filepath.Join(t.TempDir(), "target"))
		},
	} {
		testcluster.Eventually(t, patience, func() error { // the clusters file is read within moments
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := do(ctx)
			if err == nil {
				t.Fatalf("%s in %s succeeds", call, p.name)
			}
			first, _, _ := strings.Cut(err.Error(), "its client says")
			if !strings.Contains(first, says) || !strings.Contains(first, cure) {
				return fmt.Errorf("%s in %s does not say %q and %q: %w", call, p.name, says, cure, err)
			}
			t.Logf("%s in %s: %v", call, p.name, err)
			return nil
		})
	}
}

// checkFound makes sure that the doctor says these, too.
func checkFound(t *testing.T, d *testdriver.Driver, says ...string) {
	t.Helper()
	found := doctor.Host{ClustersFile: d.Clusters, StateDir: d.State()}.Check(t.Context())
	for _, want := range says {
		if !slices.ContainsFunc(found, func(f answers.Finding) bool {
			return f.Severity == answers.Error && strings.Contains(f.Message, want) && f.Cure != ""
		}) {
			t.Errorf("the doctor does not say %q: %+v", want, found)
		}
	}
}

func inCluster(p *pool) func(*csi.CreateVolumeRequest) {
	return func(r *csi.CreateVolumeRequest) { r.Parameters["cluster"] = p.name }
}

// checkWorks makes a volume, and writes and reads in it where it is published.
func checkWorks(t *testing.T, d *testdriver.Driver, p *pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var v *csi.Volume
	testcluster.Eventually(t, patience, func() (err error) { // after a start that was under way
		v, err = d.Create(ctx, "pvc-"+p.name, inCluster(p))
		return err
	})
	target := filepath.Join(t.TempDir(), "target")
	do(t, d.Publish(ctx, v, target))
	file := filepath.Join(target, "file")
	do(t, os.WriteFile(file, []byte(p.name), 0o600))
	if read, err := os.ReadFile(file); err != nil || string(read) != p.name {
		t.Errorf("in %s, read %q, %v", p.name, read, err)
	}
	do(t, d.Unpublish(ctx, v, target), d.Delete(ctx, v))
}

// checkOnlyTLS makes sure that nothing else than TLS is spoken by the bricks, and by glusterd where it is to be so.
func checkOnlyTLS(t *testing.T, p *pool) {
	t.Helper()
	plain := glusterd.Pool{Servers: p.Servers()}
	want := credentials.Fault("")
	if p.management {
		want = credentials.WantsTLS
	}
	for i, server := range p.Servers() {
		if _, fault := plain.Trouble(t.Context(), server); fault != want {
			t.Errorf("in plain text glusterd of %s says %q, want %q", p.name, fault, want)
		}
		if p.management {
			continue // it tells no port
		}
		brick := glusterd.Brick{Host: server, Path: p.BrickPath("gv0", i)}
		if trouble, fault := plain.BrickTrouble(t.Context(), brick); fault != credentials.WantsTLS {
			t.Errorf("in plain text a brick of %s says %q, %q", p.name, trouble, fault)
		}
	}
}
