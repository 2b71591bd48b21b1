// SPDX-License-Identifier: Apache-2.0

// Package monitor is what kubelet's probes and Prometheus ask a process of the driver, over HTTP.
//
//	/healthz   this process serves: a call through its own socket was answered. It never depends on GlusterFS,
//	           since a storage outage must not restart pods.
//	/readyz    and the clusters file has been loaded, as CSI's Probe says.
//	/metrics   for Prometheus.
//
// Volumes do not need it: where its port is another program's, everything else goes on, and it is tried again.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
	"k8s.io/klog/v2"
)

const (
	// healthTimeout is less than what a probe usually waits, on a Pi that is busy.
	healthTimeout = 3 * time.Second
	// readTimeout bounds a caller that does not say all, writeTimeout one that does not read, and idleTimeout one that asks nothing more. Prometheus
	// asks each minute, by default.
	readTimeout, writeTimeout, idleTimeout = 5 * time.Second, 30 * time.Second, 2 * time.Minute
	// maxConnections bounds what callers cost together: others wait for one that ends.
	maxConnections = 64
	// shutdownTimeout bounds the requests under way at the end.
	shutdownTimeout = 2 * time.Second
	// minListenDelay and maxListenDelay bound the time between two attempts to listen, which doubles.
	minListenDelay, maxListenDelay = time.Second, time.Minute
)

// Monitor is what answers.
type Monitor struct {
	address string
	server  *http.Server
}

// Questions are what /healthz and /readyz ask the process itself.
type Questions struct{ Alive, Ready func(context.Context) error }

// New is the monitor at an address (HOST:PORT), with the metrics of a registry. What it asks need not be served yet.
func New(address string, registry *prometheus.Registry, q Questions) *Monitor {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.Handle("GET /healthz", asking(q.Alive))
	mux.Handle("GET /readyz", asking(q.Ready))
	return &Monitor{address: address, server: &http.Server{
		Handler: mux, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
	}}
}

// Serve returns when ctx is done.
func (m *Monitor) Serve(ctx context.Context) {
	logger := klog.FromContext(ctx)
	listener := m.listen(ctx)
	if listener == nil {
		return
	}
	logger.Info("Serving /healthz, /readyz and /metrics", "address", listener.Addr().String())
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = m.server.Shutdown(ctx) // what is still under way then ends with the process
	})
	defer stop()
	if err := m.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		logger.Error(err, "Cannot serve HTTP any more")
	}
}

// listen tries until it can, and says each time why not. It returns nil if ctx is done before.
func (m *Monitor) listen(ctx context.Context) net.Listener {
	for delay := minListenDelay; ; delay = min(2*delay, maxListenDelay) {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", m.address)
		if err == nil {
			return netutil.LimitListener(listener, maxConnections)
		}
		if ctx.Err() != nil {
			return nil
		}
		klog.FromContext(ctx).Error(err, "Cannot serve /healthz, /readyz and /metrics; all else goes on. Find who has the port (ss -ltnp), "+
			"or give --http-endpoint another", "address", m.address, "tryAgainAfter", delay)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
	}
}

// asking answers 200 with "ok", or 503 with the reason.
func asking(question func(context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
		defer cancel()
		if err := question(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}
