// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// identityOf asks an API server that is asked here.
func identityOf(t *testing.T, answer http.HandlerFunc) *Identity {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", at.Hostname())
	t.Setenv("KUBERNETES_SERVICE_PORT", at.Port())
	dir := t.TempDir()
	for name, content := range map[string]string{
		"token": "secret\n", "namespace": "driver\n",
		"ca.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	i, err := NewIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAKubernetesClusterIsKnownByItsSystemNamespace(t *testing.T) {
	var asked atomic.Int64
	i := identityOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/kube-system" || r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("it asks %s %s", r.Method, r.URL)
		}
		if asked.Add(1) == 1 {
			http.Error(w, "{}", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"metadata": {"name": "kube-system", "uid": "5f0c"}}`)
	})
	if id, err := i.Get(t.Context()); id != "" || !errors.Is(err, ErrSilent) {
		t.Errorf("of an API server that does not answer: %q, %v", id, err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if id, err := i.Get(t.Context()); id != "5f0c" || err != nil {
				t.Errorf("%q, %v", id, err)
			}
		})
	}
	all.Wait()
	before := asked.Load()
	if id, err := i.Get(t.Context()); id != "5f0c" || err != nil || asked.Load() != before {
		t.Errorf("%q, %v, asked %d times more", id, err, asked.Load()-before)
	}
}

func TestWithoutTheRightToAskItIsNotKnown(t *testing.T) {
	var asked atomic.Int64
	i := identityOf(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			http.Error(w, `{"message": "forbidden"}`, http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"metadata": {"uid": "5f0c"}}`)
	})
	for range 3 {
		if id, err := i.Get(t.Context()); id != "" || err != nil {
			t.Errorf("%q, %v", id, err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it asked %d times", n)
	}
	i.refused = time.Now().Add(-askAgain) // the right came later
	if id, err := i.Get(t.Context()); id != "5f0c" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
}

func TestWhoWaitsForTheAnswerHasADeadline(t *testing.T) {
	release := make(chan struct{})
	i := identityOf(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		fmt.Fprint(w, `{"metadata": {"uid": "5f0c"}}`)
	})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if id, err := i.Get(ctx); id != "" || err == nil {
		t.Errorf("%q, %v", id, err)
	}
}
