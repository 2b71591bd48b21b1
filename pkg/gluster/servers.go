// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"syscall"
	"time"
)

// signValid is how long an answer of a cluster's servers counts.
const signValid = 10 * time.Second

// signs is what is known of the servers of one cluster.
type signs struct {
	mu      sync.Mutex
	at      time.Time
	servers []string      // that were asked
	silent  string        // them with their trouble, if none gave a sign of life
	pending chan struct{} // closed when the question under way ends; nil if none is
}

// silentServers returns the servers of a cluster and what is wrong with them if none gives a sign of life, else "". It waits for
// the answer until ctx is done at most, and then returns the last known one. At most one question to a cluster is under way. A
// cluster that the clusters file does not name is not asked.
func (h *Host) silentServers(ctx context.Context, v Volume) string {
	clusters, err := h.clusters.Current()
	if err != nil {
		return ""
	}
	cluster, err := clusters.Find(v)
	if err != nil {
		return ""
	}
	s := h.signsOf(cluster.Name)
	if done := s.ask(h.life, cluster.Servers); done != nil { //nolint:contextcheck // the answer is for later callers, too
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.servers, cluster.Servers) {
		return "" // they were replaced
	}
	return s.silent
}

func (h *Host) signsOf(cluster string) *signs {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.signs[cluster]
	if s == nil {
		s = &signs{}
		h.signs[cluster] = s
	}
	return s
}

// ask returns what is closed when the servers have been asked, or nil if there is an answer that counts. Bad news counts, too, and
// is looked at again meanwhile.
func (s *signs) ask(ctx context.Context, servers []string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := time.Since(s.at) < signValid && slices.Equal(s.servers, servers)
	if s.pending == nil && (!counts || s.silent != "") {
		s.begin(ctx, servers)
	}
	if counts {
		return nil
	}
	return s.pending
}

// begin asks the servers; ctx is the Host's, as the answer is for later callers, too. The caller holds mu.
func (s *signs) begin(ctx context.Context, servers []string) {
	done := make(chan struct{})
	s.pending = done
	go func() {
		defer close(done)
		silent := findSilent(ctx, servers)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.at, s.servers, s.silent, s.pending = time.Now(), servers, silent, nil
	}()
}

// findSilent asks all servers at once, for two seconds at most. One that hangs up is alive: it may want TLS.
func findSilent(ctx context.Context, servers []string) string {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	type answer struct {
		server string
		err    error
	}
	answers := make(chan answer, len(servers))
	for _, server := range servers {
		go func() { answers <- answer{server, greetOne(ctx, server)} }()
	}
	g := greeting{order: servers, trouble: map[string]string{}}
	alive := false
	for range servers { // all of them, so that nothing goes on after this
		a := <-answers
		switch {
		case a.err == nil, errors.Is(a.err, io.EOF), errors.Is(a.err, io.ErrUnexpectedEOF), errors.Is(a.err, syscall.ECONNRESET):
			alive = true
			cancel()
		default:
			g.trouble[a.server] = describeTrouble(a.err)
		}
	}
	if alive {
		return ""
	}
	return g.String()
}
