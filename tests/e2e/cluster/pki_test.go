// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

func readCertificate(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	encoded, err := os.ReadFile(cache.Path("run", "pki", file+".crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(encoded)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestCertificatesAreTheirHoldersOwn(t *testing.T) {
	c := scratch(t)
	roots := x509.NewCertPool()
	roots.AddCert(readCertificate(t, "ca"))
	servers := map[string][]string{"apiserver": {c.nodes[0].IP, serviceAddress, "127.0.0.1", "kubernetes.default.svc"}}
	groups := map[string]string{"admin": "system:masters", "apiserver-kubelet": "system:masters"}
	for _, n := range c.nodes {
		servers["kubelet-server-"+n.Name] = []string{n.IP, n.Name}
		groups["kubelet-"+n.Name] = "system:nodes"
	}
	for file, names := range servers {
		for _, name := range names {
			options := x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
			if _, err := readCertificate(t, file).Verify(options); err != nil {
				t.Errorf("%s as %s: %v", file, name, err)
			}
		}
	}
	for file, group := range groups {
		certificate := readCertificate(t, file)
		if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if got := certificate.Subject.Organization; len(got) != 1 || got[0] != group {
			t.Errorf("%s is of the groups %v, want %s", file, got, group)
		}
	}
	if _, err := c.tlsConfig(); err != nil {
		t.Errorf("the administrator's kubeconfig: %v", err)
	}
}
