// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"encoding/json"
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

// apiServer answers as Kubernetes' does, as far as this package asks it; the rest of it is tested on a real one
// (tests/e2e/kubectl).
type apiServer struct {
	mu      sync.Mutex
	volumes int // that are bound
	refuses func(r *http.Request) int
	events  map[string]map[string]any // by path
	writes  int
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := s.refuses(r); code != 0 {
		http.Error(w, `{"message": "no"}`, code)
		return
	}
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	path := r.URL.Path
	switch r.Method {
	case http.MethodGet:
		s.list(w)
		return
	case http.MethodPost:
		path += "/" + body["metadata"].(map[string]any)["name"].(string)
		if s.events[path] != nil {
			http.Error(w, "{}", http.StatusConflict)
			return
		}
		s.events[path] = map[string]any{}
	case http.MethodPatch:
		if s.events[path] == nil {
			http.Error(w, "{}", http.StatusNotFound)
			return
		}
	}
	s.writes++
	for key, value := range body {
		s.events[path][key] = value
	}
}

func (s *apiServer) list(w http.ResponseWriter) {
	var items []string
	for i := range s.volumes {
		for _, driver := range []string{"glusterfs.test", "other.test"} {
			items = append(items, fmt.Sprintf(`{"spec": {"csi": {"driver": %q, "volumeHandle": "pi/gv0/%d"}, "claimRef": {"namespace": "shop", "name": "c%d", "uid": "%d"}}, "status": {"phase": "Bound"}}`, driver, i, i, i))
		}
	}
	fmt.Fprintf(w, `{"metadata": {}, "items": [%s]}`, strings.Join(items, ","))
}

// recorder runs one until the test ends, on an API server that is asked here.
func recorder(t *testing.T, s *apiServer) *Recorder {
	t.Helper()
	s.events = map[string]map[string]any{}
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	api, err := kubeapi.New(serviceaccount.Mount(t, server))
	if err != nil {
		t.Fatal(err)
	}
	r := New("glusterfs.test", api, Object{Name: "controller-0", UID: "u"})
	r.pace, r.retry = time.Millisecond, 10*time.Millisecond
	return r
}

// run runs it until a condition is true of the server.
func run(t *testing.T, r *Recorder, s *apiServer, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var ended sync.WaitGroup
	ended.Go(func() { r.Run(ctx) })
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		done := is()
		s.mu.Unlock()
		if done || ctx.Err() != nil {
			break
		}
		<-tick.C
	}
	if ctx.Err() != nil {
		t.Errorf("not so: %v", s.events)
	}
	cancel()
	ended.Wait()
}

// TestWhatComesAndGoesIsOneEvent also where the API server is away meanwhile.
func TestWhatComesAndGoesIsOneEvent(t *testing.T) {
	away := true
	s := &apiServer{refuses: func(r *http.Request) int {
		if away {
			away = r.Header.Get("Authorization") != "Bearer secret" // once
			return http.StatusServiceUnavailable
		}
		return 0
	}}
	r := recorder(t, s)
	claim := Claim("shop", "data", "1")
	for i := range 1000 {
		r.About(claim, Event{Warning, "Lost", fmt.Sprint(i)})
	}
	r.About(claim, Event{Normal, "Back", "b"})
	is := func(path, message string, count float64) bool {
		e := s.events["/api/v1/namespaces/shop/events/"+path]
		return e != nil && e["message"] == message && e["count"] == count
	}
	lost, back := nameOf(claim, "Lost"), nameOf(claim, "Back")
	run(t, r, s, func() bool { return len(s.events) == 2 && is(lost, "999", 1) && is(back, "b", 1) })
	if s.writes != 2 {
		t.Errorf("%d writes", s.writes)
	}
	r.About(claim, Event{Warning, "Lost", "again"})
	run(t, r, s, func() bool { return is(lost, "again", 2) })
	delete(s.events, "/api/v1/namespaces/shop/events/"+lost) // as Kubernetes does after an hour
	r.About(claim, Event{Warning, "Lost", "later"})
	run(t, r, s, func() bool { return is(lost, "later", 1) })
	clear(r.said) // another process
	r.About(claim, Event{Warning, "Lost", strings.Repeat("é", messageSize)})
	run(t, r, s, func() bool {
		e := s.events["/api/v1/namespaces/shop/events/"+lost]
		return strings.HasSuffix(e["message"].(string), "é…") && len(e["message"].(string)) <= messageSize && e["count"] == 1.0
	})
}

// TestOneThatIsRefusedHoldsUpNoOther and a hundred claims are told at most, besides the pod.
func TestOneThatIsRefusedHoldsUpNoOther(t *testing.T) {
	s := &apiServer{volumes: claimsTold + 20, refuses: func(r *http.Request) int {
		if strings.Contains(r.URL.Path, "/driver/") {
			return http.StatusForbidden
		}
		return 0
	}}
	r := recorder(t, s)
	r.AboutVolumes("pi/gv0/", Event{Warning, "Lost", "m"})
	run(t, r, s, func() bool { return len(s.events) == claimsTold })
	r.AboutVolumes("pi/gv", Event{Warning, "Other", "m"})
	r.AboutVolumes("mars/gv0/", Event{Warning, "None", "m"})
	run(t, r, s, func() bool { return s.writes == 2*claimsTold })
	for path := range s.events {
		if !strings.HasPrefix(path, "/api/v1/namespaces/shop/events/c") {
			t.Errorf("%s is told", path)
		}
	}
}

// TestWithoutAnAccountNothingIsSaid and nothing breaks.
func TestWithoutAnAccountNothingIsSaid(t *testing.T) {
	var none *Recorder
	none.Own(Event{})
	none.About(Claim("a", "b", "c"), Event{})
	none.AboutVolumes("", Event{})
	none.AboutPod("", "", "", "", Event{})
	none.Run(t.Context())
}

// TestAPodIsToldWhereItsNamespaceHasAClaim of the Gluster volume: of no other has a node anything to say.
func TestAPodIsToldWhereItsNamespaceHasAClaim(t *testing.T) {
	s := &apiServer{volumes: 1, refuses: func(*http.Request) int { return 0 }}
	r := recorder(t, s)
	r.AboutPod("pi/gv0/", "elsewhere", "one", "1", Event{Warning, "Dead", "m"})
	r.AboutPod("pi/gv1/", "shop", "two", "2", Event{Warning, "Dead", "m"})
	r.AboutPod("pi/gv0/", "shop", "three", "3", Event{Warning, "Dead", "m"})
	three := Object{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: "three", UID: "3"}
	path := "/api/v1/namespaces/shop/events/" + nameOf(three, "Dead")
	run(t, r, s, func() bool { return s.events[path] != nil })
	if about, _ := s.events[path]["involvedObject"].(map[string]any); len(s.events) != 1 || about["uid"] != "3" {
		t.Errorf("%v", s.events)
	}
}
