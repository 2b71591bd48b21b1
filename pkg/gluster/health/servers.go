// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// checkValid is how long an answer of a cluster's servers counts.
const checkValid = 10 * time.Second

// serverCheck is what is known of the servers of one cluster.
type serverCheck struct {
	mu      sync.Mutex
	at      time.Time
	servers []string      // that were asked
	silent  string        // them with their trouble, if none gave a sign of life
	pending chan struct{} // closed when the question under way ends; nil if none is
}

// silentServers returns the servers of a cluster and what is wrong with them if none gives a sign of life, else "". It is not
// known where they have not been asked, or not been waited for long enough.
// It waits for the answer until ctx is done at most, and then returns the last known one. At most one question to a
// cluster is under way. A cluster that the clusters file does not name is not asked.
func (o *Observer) silentServers(ctx context.Context, v gluster.Volume) (silent string, isKnown bool) {
	clusters, err := o.clusters.Current()
	if err != nil {
		return "", false
	}
	cluster, err := clusters.Find(v)
	if err != nil {
		return "", false
	}
	s := o.checkOf(cluster.Name)
	if done := s.ask(ctx, glusterd.PoolOf(cluster)); done != nil {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.servers, cluster.Servers) {
		return "", false // they were replaced
	}
	return s.silent, !s.at.IsZero()
}

func (o *Observer) checkOf(cluster string) *serverCheck {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.checks[cluster]
	if s == nil {
		s = &serverCheck{}
		o.checks[cluster] = s
	}
	return s
}

// ask returns what is closed when the servers have been asked, or nil if there is an answer that counts. Bad news
// counts, too, and is looked at again meanwhile.
func (s *serverCheck) ask(ctx context.Context, pool glusterd.Pool) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := time.Since(s.at) < checkValid && slices.Equal(s.servers, pool.Servers)
	if s.pending == nil && (!counts || s.silent != "") {
		s.pending = make(chan struct{})
		go s.find(context.WithoutCancel(ctx), pool, s.pending) // for later callers, too
	}
	if counts {
		return nil
	}
	return s.pending
}

func (s *serverCheck) find(ctx context.Context, pool glusterd.Pool, done chan<- struct{}) {
	defer close(done)
	var silent string
	panics.Catch(ctx, "question to the servers", func() { silent = pool.AllSilent(ctx) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.servers, s.silent, s.pending = time.Now(), pool.Servers, silent, nil
}
