// SPDX-License-Identifier: Apache-2.0

// Package kubelet makes a CSI driver known to the kubelet of its node, as the sidecar
// node-driver-registrar does for others.
//
// The plugin listens on a socket in kubelet's directory plugins_registry. Kubelet finds it there, now or when it starts, asks it
// where CSI is served, and says whether it took it. A socket that goes away is a driver that goes away.
package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/klog/v2"
)

// registryDir is where kubelet looks for plugins, below its root directory.
const registryDir = "plugins_registry"

// retryInterval is how long until a registration that failed is tried again, and how long a change may go unseen where inotify does
// not serve.
const retryInterval = 10 * time.Second

// Registration is what kubelet is told.
type Registration struct {
	// Driver is the driver's name in CSI.
	Driver string
	// Endpoint is the path of the socket on which CSI is served. Kubelet must find it under the same path.
	Endpoint string
	// KubeletDir is kubelet's root directory, /var/lib/kubelet in most distributions.
	KubeletDir string
}

// Serve offers the registration until ctx is done, and then withdraws it. CSI must be served before, since kubelet calls it at
// once. The socket is made anew when it, or the directory, is removed or recreated, and when kubelet refused the driver: kubelet asks
// a plugin again only when its socket is a new one. What fails is logged and tried again every 10 s, so that a kubelet that
// is not there yet fails nothing. It is to be called once for each registry, with which the metric is registered.
func (r Registration) Serve(ctx context.Context, registry prometheus.Registerer) {
	r.serve(ctx, registry, retryInterval)
}

func (r Registration) serve(ctx context.Context, registry prometheus.Registerer, interval time.Duration) {
	logger := klog.FromContext(ctx).WithValues("socket", r.socketPath())
	w := newWatch(ctx, r.KubeletDir, filepath.Join(r.KubeletDir, registryDir))
	defer w.close()
	retry := time.NewTicker(interval)
	defer retry.Stop()
	registered := promauto.With(registry).NewGauge(prometheus.GaugeOpts{
		Name: "glusterfs_csi_kubelet_registered", ConstLabels: prometheus.Labels{"driver": r.Driver},
		Help: "1 when kubelet took the driver, 0 when it refused it or has not asked yet.",
	})

	var current *socket
	defer func() { current.close() }()
	var lastProblem string
	due := false // a retry
	for {
		w.renew() // before looking, so that no change falls between
		if current == nil || !current.inPlace() || (due && current.refused.Load()) {
			current.close()
			var err error
			if current, err = r.listen(ctx, registered); err != nil && err.Error() != lastProblem {
				logger.Error(err, "Cannot offer the driver to kubelet; trying again. Is --kubelet-dir the root directory of this node's kubelet?")
			}
			lastProblem = message(err)
		}
		due = false
		select {
		case <-ctx.Done():
			return
		case <-w.changes:
		case <-retry.C:
			due = true
		}
	}
}

func (r Registration) socketPath() string {
	return filepath.Join(r.KubeletDir, registryDir, r.Driver+"-reg.sock")
}

// listen puts a new socket where kubelet looks. The directory is made if kubelet has not made it yet; the one above it must be there.
func (r Registration) listen(ctx context.Context, registered prometheus.Gauge) (*socket, error) {
	path := r.socketPath()
	if err := os.Mkdir(filepath.Dir(path), 0o750); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make kubelet's directory of plugins: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of a process that was killed
		return nil, fmt.Errorf("replace the socket of an earlier process: %w", err)
	}
	return newSocket(ctx, path, r, registered)
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
