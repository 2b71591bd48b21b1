// SPDX-License-Identifier: Apache-2.0

package startuptaint

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
	"github.com/glusterfs-csi/glusterfs-csi/tests/serviceaccount"
)

const driver = "glusterfs.test"

// apiServer answers as Kubernetes' does, as far as this package asks it; what it asks for is tested on a real one
// (tests/e2e/kubectl).
type apiServer struct {
	mu      sync.Mutex
	nodes   chan string // what a watch says
	asked   map[string]int
	answers func(r *http.Request) (int, string)
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked[r.Method+" "+r.URL.Path]++
	code, text := s.answers(r)
	s.mu.Unlock()
	w.WriteHeader(code)
	fmt.Fprint(w, text)
	if r.URL.Query().Get("watch") == "" || code != http.StatusOK {
		return
	}
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case change, more := <-s.nodes:
			if !more {
				return
			}
			fmt.Fprint(w, change)
		}
	}
}

func change(kind, name string, taints ...string) string {
	return fmt.Sprintf(`{"type": %q, "object": {"metadata": {"name": %q, "uid": "1"}, "spec": {"taints": [%s]}}}`, kind, name, strings.Join(taints, ", "))
}

var (
	ours  = fmt.Sprintf(`{"key": %q, "effect": "NoExecute"}`, Key(driver))
	other = `{"key": "other", "effect": "NoSchedule"}`
)

// run runs a Remover until a condition is true of what was asked, and returns it.
func run(t *testing.T, s *apiServer, is func(asked map[string]int) bool) *Remover {
	t.Helper()
	s.asked = map[string]int{}
	server := httptest.NewTLSServer(s)
	defer server.Close()
	api, err := kubeapi.New(serviceaccount.Mount(t, server))
	if err != nil {
		t.Fatal(err)
	}
	r := New(driver, api)
	r.first, r.retry = time.Millisecond, time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var ended sync.WaitGroup
	ended.Go(func() { r.Run(ctx) })
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for done := false; !done; {
		<-tick.C
		s.mu.Lock()
		if done = is(s.asked); !done && ctx.Err() != nil {
			t.Errorf("asked %v", s.asked)
			done = true
		}
		s.mu.Unlock()
	}
	cancel()
	ended.Wait()
	return r
}

const (
	watches = "GET /api/v1/nodes"
	csiNode = "GET /apis/storage.k8s.io/v1/csinodes/"
	patches = "PATCH /api/v1/nodes/"
)

// TestOfNodesWithoutTheTaintNothingIsAsked, and neither of one that has lost it, or is gone.
func TestOfNodesWithoutTheTaintNothingIsAsked(t *testing.T) {
	s := &apiServer{nodes: make(chan string, 9), answers: func(r *http.Request) (int, string) {
		if strings.Contains(r.URL.Path, "csinodes") {
			return http.StatusNotFound, "{}"
		}
		return http.StatusOK, ""
	}}
	s.nodes <- change("ADDED", "plain", other)
	s.nodes <- change("ADDED", "gone", ours) + change("DELETED", "gone", ours)
	s.nodes <- change("ADDED", "lost", ours) + change("MODIFIED", "lost", other)
	s.nodes <- change("ADDED", "new", other, ours)
	run(t, s, func(asked map[string]int) bool { return asked[csiNode+"new"] > 3 })
	if s.asked[csiNode+"plain"] > 0 || s.asked[watches] != 1 || s.asked[patches+"new"] > 0 {
		t.Errorf("asked %v", s.asked)
	}
}

// TestAWatchThatEndsIsFollowedByAnother, whatever ended it.
func TestAWatchThatEndsIsFollowedByAnother(t *testing.T) {
	watched := 0
	s := &apiServer{nodes: make(chan string), answers: func(r *http.Request) (int, string) {
		if r.URL.Path != "/api/v1/nodes" {
			return http.StatusNotFound, "{}"
		}
		switch watched++; watched {
		case 1:
			return http.StatusForbidden, `{"message": "nodes is forbidden"}`
		case 2:
			return http.StatusServiceUnavailable, ""
		case 3:
			return http.StatusOK, `{"type": "ERROR", "object": {"code": 410}}`
		}
		return http.StatusOK, change("ADDED", "new", ours)
	}}
	run(t, s, func(asked map[string]int) bool { return asked[watches] >= 4 && asked[csiNode+"new"] > 0 })
}

// TestANodeThatWasDeletedBetweenTwoWatchesIsForgotten, of which no watch says that it is gone.
func TestANodeThatWasDeletedBetweenTwoWatchesIsForgotten(t *testing.T) {
	watched := 0
	s := &apiServer{nodes: make(chan string), answers: func(r *http.Request) (int, string) {
		if r.URL.Path != "/api/v1/nodes" {
			return http.StatusNotFound, "{}"
		}
		if watched++; watched == 1 {
			return http.StatusOK, change("ADDED", "gone", ours) + change("ADDED", "stays", ours)
		}
		return http.StatusOK, change("ADDED", "stays", ours)
	}}
	close(s.nodes) // each watch ends as soon as it has said that
	r := run(t, s, func(asked map[string]int) bool { return asked[watches] > 4 && asked[csiNode+"stays"] > 1 })
	if len(r.wait) != 1 || r.wait["stays"] == nil {
		t.Errorf("%d nodes are looked at, one of them is there: %t", len(r.wait), r.wait["stays"] != nil)
	}
	if pause := r.wait["stays"].pause; pause <= r.first {
		t.Errorf("looks at one that is there do not become rare: %s", pause)
	}
}

// TestLooksBecomeRare for a node that is never ready.
func TestLooksBecomeRare(t *testing.T) {
	r := New(driver, nil)
	r.wait["never"] = &waiting{pause: firstLook}
	now := time.Now()
	var looks []time.Duration
	for end := now.Add(time.Hour); now.Before(end); {
		_, w, delay := r.due(now)
		if w != nil {
			looks = append(looks, w.pause)
			continue
		}
		now = now.Add(delay)
	}
	if len(looks) < 200 || len(looks) > 250 || looks[len(looks)-1] != rarestLook {
		t.Errorf("%d looks in an hour, the last one after %s", len(looks), looks[len(looks)-1])
	}
}
