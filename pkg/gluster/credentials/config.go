// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
)

// Client speaks TLS over a connection, with a server that it knows by its CA, and returns when both have agreed. As with
// GlusterFS the name in the server's certificate does not matter: its CAs are for its servers and clients alone. A server
// may still refuse this host's certificate, which the next read tells.
func (s *Set) Client(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does, all but the name
		VerifyConnection:   s.verify,
		// Whatever CAs the server names: else it is told of no certificate, and says so in place of what is wrong with this one.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &s.own, nil },
	}
	spoken := tls.Client(conn, config)
	return spoken, spoken.HandshakeContext(ctx)
}

// verify checks the server's certificate against the CAs.
func (s *Set) verify(state tls.ConnectionState) error {
	options := x509.VerifyOptions{
		Roots: s.cas, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(options)
	return err
}

// errSpoken ends a conversation with a server that has shown a certificate.
var errSpoken = errors.New("it speaks TLS")

// Speaks says whether what is at the other end of a connection speaks TLS, whoever it is. The connection is of no use
// afterwards.
func Speaks(ctx context.Context, conn net.Conn) bool {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // nothing is said to it
		VerifyConnection:   func(tls.ConnectionState) error { return errSpoken },
	}
	return errors.Is(tls.Client(conn, config).HandshakeContext(ctx), errSpoken)
}
