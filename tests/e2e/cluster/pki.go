// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const certificateLifetime = 365 * 24 * time.Hour

// authority signs the certificates of one cluster and writes them, with their keys, into a directory.
type authority struct {
	dir         string
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	encoded     []byte // the certificate as PEM
}

// client is who a client certificate says that its holder is, to the API server.
type client struct{ file, user, group string }

// makeCertificates makes everything that the components and the administrator identify themselves with, unless it is there.
func (c *Cluster) makeCertificates(dir string) error {
	done := filepath.Join(dir, "admin.kubeconfig") // written last
	if _, err := os.Stat(done); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := newAuthority(dir)
	if err != nil {
		return err
	}
	first := c.nodes[0]
	err = errors.Join(
		ca.issueServer("apiserver", []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc"}, first.IP, serviceAddress),
		ca.issueClient(client{file: "apiserver-kubelet", user: "kube-apiserver", group: "system:masters"}),
		writeKeyPair(dir, "service-accounts"),
	)
	clients := []client{{"controller-manager", "system:kube-controller-manager", ""}, {"scheduler", "system:kube-scheduler", ""}, {"kube-proxy", "system:kube-proxy", ""}}
	for _, n := range c.nodes {
		err = errors.Join(err, ca.issueServer("kubelet-server-"+n.Name, []string{n.Name}, n.IP))
		clients = append(clients, client{"kubelet-" + n.Name, "system:node:" + n.Name, "system:nodes"})
	}
	for _, who := range append(clients, client{"admin", "admin", "system:masters"}) {
		err = errors.Join(err, ca.issueClient(who), ca.writeKubeconfig(who.file, "https://"+net.JoinHostPort(first.IP, apiServerPort)))
	}
	return err
}

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "glusterfs-csi-e2e"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	a := &authority{dir: dir, key: key, certificate: template}
	if a.encoded, err = a.sign(template, key.Public()); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(a.encoded)
	if a.certificate, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, err
	}
	return a, os.WriteFile(filepath.Join(dir, "ca.crt"), a.encoded, 0o600)
}

func (a *authority) issueServer(file string, names []string, addresses ...string) error {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	return a.issue(file, template)
}

func (a *authority) issueClient(who client) error {
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: who.user},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if who.group != "" {
		template.Subject.Organization = []string{who.group}
	}
	return a.issue(who.file, template)
}

// issue writes FILE.crt and FILE.key.
func (a *authority) issue(file string, template *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	encoded, err := a.sign(template, key.Public())
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", file, err)
	}
	path := filepath.Join(a.dir, file)
	return errors.Join(os.WriteFile(path+".crt", encoded, 0o600), writePrivateKey(path+".key", key))
}

func (a *authority) sign(template *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(certificateLifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// writeKubeconfig writes FILE.kubeconfig, for whoever FILE.crt belongs to.
func (a *authority) writeKubeconfig(file, server string) error {
	path := filepath.Join(a.dir, file)
	certificate, err := os.ReadFile(path + ".crt")
	if err != nil {
		return err
	}
	key, err := os.ReadFile(path + ".key")
	if err != nil {
		return err
	}
	const name = "e2e"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: a.encoded}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, path+".kubeconfig")
}

// writeKeyPair writes NAME.key and NAME.pub, by which service accounts' tokens are signed and checked.
func writeKeyPair(dir, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	encoded := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	return errors.Join(os.WriteFile(path+".pub", encoded, 0o600), writePrivateKey(path+".key", key))
}

func writePrivateKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
