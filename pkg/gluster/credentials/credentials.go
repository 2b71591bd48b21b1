// SPDX-License-Identifier: Apache-2.0

// Package credentials is what this host shows to the servers of a cluster that want TLS, and by what it knows them: a
// certificate, its key, and the certificates of CAs. It checks them, speaks TLS by them as GlusterFS does, hands them to
// a client's process, and names what is wrong where the two sides do not come together.
package credentials

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The files of a directory of credentials, PEM each. A Secret of the type kubernetes.io/tls, and cert-manager, call them so.
const (
	CertificateFile = "tls.crt" // with intermediate ones behind it
	KeyFile         = "tls.key"
	CAFile          = "ca.crt"
)

// ErrUnusable says that the files are not all there, or are not what they should be.
var ErrUnusable = errors.New("this host's certificates cannot be used")

// Set is the credentials of one cluster, as they were read.
type Set struct {
	name  string            // of the Secret, for people
	files map[string][]byte // as they are on disk
	own   tls.Certificate
	cas   *x509.CertPool
}

// Read reads the files of a directory, of the Secret with this name. Its error is ErrUnusable, and quotes nothing
// of them.
func Read(dir, secret string) (*Set, error) {
	// Kubelet replaces all files of a volume at once, by a link above them: so these are of one version.
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, missing(err, secret)
	}
	return readFrom(resolved, secret)
}

// missing is ErrUnusable where a file cannot be read.
func missing(err error, secret string) error {
	return fmt.Errorf("%w: %w: make Secret %s, with %s, %s and %s, and give it to the driver's pods", ErrUnusable, err,
		secret, CertificateFile, KeyFile, CAFile)
}

// readFrom is Read for a path that is followed as it is.
func readFrom(dir, secret string) (*Set, error) {
	s := &Set{name: secret, files: map[string][]byte{}}
	for _, name := range []string{CertificateFile, KeyFile, CAFile} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, missing(err, secret)
		}
		s.files[name] = content
	}
	own, err := tls.X509KeyPair(s.files[CertificateFile], s.files[KeyFile])
	if err != nil {
		return nil, fmt.Errorf("%w: %s and %s of Secret %s are no pair: %w: write both anew", ErrUnusable, CertificateFile, KeyFile, secret, err)
	}
	s.own = own
	s.cas = x509.NewCertPool()
	if !s.cas.AppendCertsFromPEM(s.files[CAFile]) {
		return nil, fmt.Errorf("%w: %s of Secret %s has no certificate: put that of the CA there which has signed those of the servers", ErrUnusable,
			CAFile, secret)
	}
	return s, nil
}

// Equal says whether two are the same files.
func (s *Set) Equal(other *Set) bool {
	for name, content := range s.files {
		if !bytes.Equal(content, other.files[name]) {
			return false
		}
	}
	return true
}

// Expires is when the certificate does.
func (s *Set) Expires() time.Time { return s.own.Leaf.NotAfter }
