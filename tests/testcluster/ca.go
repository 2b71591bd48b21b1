// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// CA is one that signs certificates of a test's servers and clients.
type CA struct {
	PEM []byte // its own certificate

	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Certificate is one with its key, PEM each.
type Certificate struct {
	PEM, Key []byte
	Until    time.Time // valid
}

// NewCA is MakeCA for a test.
func NewCA(t testing.TB, name string) *CA {
	t.Helper()
	ca, err := MakeCA(name)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// MakeCA makes a CA with this name.
func MakeCA(name string) (*CA, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-365 * 24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	made, err := (&CA{certificate: template, key: key}).sign(template, key)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(made.PEM)
	certificate, err := x509.ParseCertificate(block.Bytes)
	return &CA{PEM: made.PEM, certificate: certificate, key: key}, err
}

// Issue is Sign for a test.
func (ca *CA) Issue(t testing.TB, name string, until time.Time) Certificate {
	t.Helper()
	made, err := ca.Sign(name, until)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Sign makes a certificate with this common name, which is valid until then, for two hours.
func (ca *CA) Sign(name string, until time.Time) (Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, err
	}
	return ca.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-2 * time.Hour), NotAfter: until,
	}, key)
}

// sign makes a certificate for a key.
func (ca *CA) sign(template *x509.Certificate, key *ecdsa.PrivateKey) (made Certificate, err error) {
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return made, err
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, key.Public(), ca.key)
	if err != nil {
		return made, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	return Certificate{
		PEM:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		Key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
		Until: template.NotAfter.Truncate(time.Second),
	}, err
}
