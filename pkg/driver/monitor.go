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
)

// monitor is what kubelet's probes and Prometheus ask, over HTTP.
//
//	/healthz   this process serves: a call through its own socket was answered. It never depends on GlusterFS,
//	           since a storage outage must not restart pods.
//	/readyz    and the clusters file has been loaded, as CSI's Probe says.
//	/metrics   for Prometheus.
type monitor struct {
	listener net.Listener
	server   *http.Server
}

// questions are what /healthz and /readyz ask the process itself.
type questions struct{ alive, ready func(context.Context) error }

// newMonitor listens, or returns nil if nobody wants it to. What it asks need not be served yet.
func (d *Driver) newMonitor(ctx context.Context, q questions) (*monitor, error) {
	address := d.options.HTTPEndpoint
	if address == "" {
		return nil, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on --http-endpoint %s: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.metrics.registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /healthz", asking(q.alive))
	mux.Handle("GET /readyz", asking(q.ready))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	return &monitor{listener: listener, server: server}, nil
}

// serve returns when ctx is done.
func (m *monitor) serve(ctx context.Context) {
	logger := klog.FromContext(ctx)
	logger.Info("Serving /healthz, /readyz and /metrics", "address", m.listener.Addr().String())
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = m.server.Shutdown(ctx) // what is still under way then ends with the process
	})
	defer stop()
	if err := m.server.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
		logger.Error(err, "Cannot serve HTTP any more")
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
