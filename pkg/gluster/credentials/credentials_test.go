// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const patience = 30 * time.Second

// write makes a directory of credentials.
func write(t *testing.T, own testcluster.Certificate, cas []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range map[string][]byte{CertificateFile: own.PEM, KeyFile: own.Key, CAFile: cas} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, dir string) *Set {
	t.Helper()
	set, err := Read(dir, "gluster-tls")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestWhatCannotBeUsedIsSaidWithoutItsContent(t *testing.T) {
	ca := testcluster.NewCA(t, "CA")
	own, other := ca.Issue(t, "node", time.Now().Add(time.Hour)), ca.Issue(t, "node", time.Now().Add(time.Hour))
	for name, test := range map[string]struct {
		spoil func(dir string) error
		says  string
	}{
		"no key":            {func(dir string) error { return os.Remove(filepath.Join(dir, KeyFile)) }, "make Secret gluster-tls, with tls.crt, tls.key and ca.crt"},
		"the key of others": {func(dir string) error { return os.WriteFile(filepath.Join(dir, KeyFile), other.Key, 0o600) }, "tls.crt and tls.key of Secret gluster-tls are no pair"},
		"no PEM":            {func(dir string) error { return os.WriteFile(filepath.Join(dir, KeyFile), []byte("0sEcrEt0"), 0o600) }, "are no pair"},
		"no CA":             {func(dir string) error { return os.WriteFile(filepath.Join(dir, CAFile), nil, 0o600) }, "ca.crt of Secret gluster-tls has no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, own, ca.PEM)
			if err := test.spoil(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Read(dir, "gluster-tls")
			if !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "0sEcrEt0") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A volume of a pod has its files behind links, of which kubelet replaces one.
func TestFilesAreReadThroughTheLinksOfAPodsVolume(t *testing.T) {
	ca := testcluster.NewCA(t, "CA")
	own := ca.Issue(t, "node", time.Now().Add(time.Hour))
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "..1"), 0o700), os.Rename(write(t, own, ca.PEM), filepath.Join(dir, "..1", "tls")),
		os.Symlink("..1", filepath.Join(dir, "..data")), os.Symlink("..data/tls", filepath.Join(dir, "tls")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if set := read(t, filepath.Join(dir, "tls")); !set.Expires().Equal(own.Until) {
		t.Errorf("that of the files expires at %v, want %v", set.Expires(), own.Until)
	}
}

// Between this host and a server of Go's: GlusterFS's own are in tests/tls.
func TestFaults(t *testing.T) {
	ca, stranger := testcluster.NewCA(t, "CA"), testcluster.NewCA(t, "stranger")
	soon, ago := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	for name, test := range map[string]struct {
		server, own testcluster.Certificate
		cas         []byte // that this host has
		want        Fault
	}{
		"none":                        {ca.Issue(t, "server", soon), ca.Issue(t, "node", soon), ca.PEM, ""},
		"its CA is unknown":           {stranger.Issue(t, "server", soon), ca.Issue(t, "node", soon), ca.PEM, OtherCA},
		"it has expired":              {ca.Issue(t, "server", ago), ca.Issue(t, "node", soon), ca.PEM, Expired},
		"it is not valid yet":         {ca.Issue(t, "server", time.Now().Add(4*time.Hour)), ca.Issue(t, "node", soon), ca.PEM, NotYetValid},
		"it does not know our CA":     {ca.Issue(t, "server", soon), stranger.Issue(t, "node", soon), ca.PEM, OwnOtherCA},
		"our certificate has expired": {ca.Issue(t, "server", soon), ca.Issue(t, "node", ago), ca.PEM, OwnExpired},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			conn := dial(ctx, t, test.server, ca)
			spoken, err := read(t, write(t, test.own, test.cas)).Client(ctx, conn)
			if err == nil { // what it thinks of our certificate comes thereafter
				_, err = spoken.Read(make([]byte, 1))
			}
			if got := FaultOf(err); got != test.want || (err == nil) != (test.want == "") {
				t.Errorf("got %q of %v, want %q", got, err, test.want)
			}
			for _, connection := range []Connection{Management, IO} {
				if cure := test.want.Cure(connection, "gluster-tls", "gv0"); (cure == "") != (test.want == "") {
					t.Errorf("the cure is %q", cure)
				}
			}
		})
	}
}

// dial connects to a server with this certificate, which wants one of the CA and then says one byte.
func dial(ctx context.Context, t *testing.T, own testcluster.Certificate, ca *testcluster.CA) net.Conn {
	t.Helper()
	pair, err := tls.X509KeyPair(own.PEM, own.Key)
	if err != nil {
		t.Fatal(err)
	}
	cas := x509.NewCertPool()
	cas.AppendCertsFromPEM(ca.PEM)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: cas,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err == nil {
			_, _ = conn.Write([]byte("x"))
			_, _ = conn.Read(make([]byte, 1)) // until the other side has read all and ends it
			_ = conn.Close()
		}
	}()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = listener.Close(); <-ended })
	return conn
}
