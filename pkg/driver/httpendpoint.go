// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/klog/v2"
)

const (
	// healthTimeout is less than what a probe usually waits, on a Pi that is busy.
	healthTimeout = 3 * time.Second
	// headerTimeout bounds a caller that says nothing.
	headerTimeout = 5 * time.Second
	// shutdownTimeout bounds the requests under way at the end.
	shutdownTimeout = 2 * time.Second
	// minListenDelay and maxListenDelay bound the time between two attempts to listen, which doubles.
	minListenDelay, maxListenDelay = time.Second, time.Minute
)

// monitor is what kubelet's probes and Prometheus ask, over HTTP.
//
//	/healthz   this process serves: a call through its own socket was answered. It never depends on GlusterFS,
//	           since a storage outage must not restart pods.
//	/readyz    and the clusters file has been loaded, as CSI's Probe says.
//	/metrics   for Prometheus.
//
// Volumes do not need it: where its port is another program's, everything else goes on, and it is tried again.
type monitor struct {
	address string
	server  *http.Server
}

// questions are what /healthz and /readyz ask the process itself.
type questions struct{ alive, ready func(context.Context) error }

// newMonitor returns nil if nobody wants it. What it asks need not be served yet.
func (d *Driver) newMonitor(q questions) *monitor {
	if d.options.HTTPEndpoint == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.metrics.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.Handle("GET /healthz", asking(q.alive))
	mux.Handle("GET /readyz", asking(q.ready))
	return &monitor{address: d.options.HTTPEndpoint, server: &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}}
}

// serve returns when ctx is done.
func (m *monitor) serve(ctx context.Context) {
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
func (m *monitor) listen(ctx context.Context) net.Listener {
	for delay := minListenDelay; ; delay = min(2*delay, maxListenDelay) {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", m.address)
		if err == nil {
			return listener
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

// askCSI asks CSI's identity service, by its endpoint. Each time it dials anew, as kubelet may have to: a connection from before
// would not see that the socket is gone.
func askCSI(endpoint string) (questions, error) {
	target, err := dialTarget(endpoint)
	if err != nil {
		return questions{}, err
	}
	ask := func(question func(context.Context, csi.IdentityClient) error) func(context.Context) error {
		return func(ctx context.Context) error {
			connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				return err
			}
			defer func() { _ = connection.Close() }()
			return question(ctx, csi.NewIdentityClient(connection))
		}
	}
	return questions{
		alive: ask(func(ctx context.Context, identity csi.IdentityClient) error {
			_, err := identity.GetPluginInfo(ctx, &csi.GetPluginInfoRequest{})
			return err
		}),
		ready: ask(func(ctx context.Context, identity csi.IdentityClient) error {
			response, err := identity.Probe(ctx, &csi.ProbeRequest{})
			if err == nil && !response.GetReady().GetValue() {
				err = errors.New("the clusters file has not been loaded yet; the log says why")
			}
			return err
		}),
	}, nil
}

// dialTarget is an endpoint as gRPC's clients want it.
func dialTarget(endpoint string) (string, error) {
	network, address, err := parseEndpoint(endpoint)
	if err != nil {
		return "", err
	}
	if network == "unix" {
		return "unix:" + address, nil
	}
	return "passthrough:///" + address, nil
}
