// SPDX-License-Identifier: Apache-2.0

// Package serviceaccount is what kubelet gives a pod to reach the API server by, for a test with a server of its own.
package serviceaccount

import (
	"encoding/pem"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

const (
	// Token is the service account's.
	Token = "secret"
	// Namespace is that of the pod.
	Namespace = "driver"
)

// Mount makes this process a pod whose API server is that one, and returns the directory of its service account.
func Mount(t *testing.T, server *httptest.Server) string {
	t.Helper()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", at.Hostname())
	t.Setenv("KUBERNETES_SERVICE_PORT", at.Port())
	dir := t.TempDir()
	for name, content := range map[string]string{
		"token": Token + "\n", "namespace": Namespace + "\n",
		"ca.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
