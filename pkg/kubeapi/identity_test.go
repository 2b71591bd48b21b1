// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/serviceaccount"
)

// identityOf asks an API server that answers so.
func identityOf(t *testing.T, answer http.HandlerFunc) *Identity {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	api, err := New(serviceaccount.Mount(t, server))
	if err != nil {
		t.Fatal(err)
	}
	return NewIdentity(api)
}

func TestAKubernetesClusterIsKnownByItsSystemNamespace(t *testing.T) {
	var asked atomic.Int64
	i := identityOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/kube-system" || r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer "+serviceaccount.Token {
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

// The question is on a goroutine of its own, where no handler of a call catches anything.
func TestAPanicWhileTheIdentityIsAskedForIsAnError(t *testing.T) {
	if _, err := NewIdentity(nil).Get(t.Context()); !errors.Is(err, ErrSilent) {
		t.Errorf("got %v", err)
	}
}
