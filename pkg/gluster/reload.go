// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// rereadInterval is how long a change may go unseen where inotify does not serve: the directory came later, the node
// is out of inotify instances (there are 128 per user by default, and kubelet's neighbours like them), or a remote
// filesystem.
const rereadInterval = 10 * time.Second

// ClustersFile is a clusters file that is read again whenever it changes.
type ClustersFile struct {
	path    string
	reloads *prometheus.CounterVec

	mu      sync.RWMutex
	current *Clusters
	problem error // why the last reading failed; nil after a good one

	lastSeen []byte // what was read last, good or broken; of the watching goroutine only
}

// WatchClusters reads the file now and again whenever it changes, until ctx is done. The file may come later, be
// replaced by rename, or be a Kubernetes ConfigMap's (which swaps the symbolic link `..data` beside it). A file that
// is missing or broken is logged and counted once, and the last good one stays in force. The metric is registered
// with registry, unless that is nil.
func WatchClusters(ctx context.Context, path string, registry prometheus.Registerer) *ClustersFile {
	f := &ClustersFile{path: path, reloads: promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "glusterfs_csi_clusters_reloads_total",
		Help: "Changes of the clusters file seen, by result: ok, or error where the last good one stays in force.",
	}, []string{"result"})}
	for _, result := range []string{"ok", "error"} { // so that the first one is an increase
		f.reloads.WithLabelValues(result)
	}
	changes, stop := watchDirectory(ctx,
		filepath.Dir(path)) // before the first reading, so that no change falls between
	f.reload(ctx)
	go func() {
		defer stop()
		ticker := time.NewTicker(rereadInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-changes:
			case <-ticker.C:
			}
			panics.Catch(ctx, "reload of the clusters file", func() { f.reload(ctx) })
		}
	}()
	return f
}

// Current returns the last good content, or ErrNotLoaded with the reason. It never blocks on the file.
func (f *ClustersFile) Current() (*Clusters, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.current == nil {
		return nil, fmt.Errorf("%w: %w", ErrNotLoaded, f.problem)
	}
	return f.current, nil
}

func (f *ClustersFile) reload(ctx context.Context) {
	logger := klog.FromContext(ctx)
	data, err := os.ReadFile(f.path)
	if err == nil && f.lastSeen != nil && bytes.Equal(data, f.lastSeen) {
		return
	}
	var clusters *Clusters
	if err == nil {
		f.lastSeen = append([]byte{}, data...)
		clusters, err = ParseClustersAt(f.path, data)
	} else {
		f.lastSeen = nil
	}

	f.mu.Lock()
	known := f.problem != nil && err != nil && f.problem.Error() == err.Error()
	f.problem = err
	if err == nil {
		f.current = clusters
	}
	inForce := f.current != nil
	f.mu.Unlock()

	switch {
	case known: // said already
	case err == nil:
		f.reloads.WithLabelValues("ok").Inc()
		logger.Info("Loaded the clusters file", "path", f.path, "volumes", clusters.Volumes())
	case !inForce && errors.Is(err, os.ErrNotExist):
		logger.Info("Waiting for the clusters file", "path", f.path)
	default:
		f.reloads.WithLabelValues("error").Inc()
		logger.Error(err, "Refused the clusters file; correct it, it is read again by itself", "path", f.path,
			"lastGoodOneInForce", inForce)
	}
}

// watchDirectory delivers something on changes after each change in dir, the name of which does not matter: a
// ConfigMap's file changes by a rename of another name beside it. Where that is impossible, changes stays silent.
func watchDirectory(ctx context.Context, dir string) (changes <-chan struct{}, stop func()) {
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		if err = watcher.Add(dir); err != nil {
			err = errors.Join(err, watcher.Close())
		}
	}
	if err != nil {
		klog.FromContext(ctx).Info("Cannot watch for changes, reading again at intervals instead", "directory", dir,
			"interval", rereadInterval, "reason", err)
		return nil, func() {}
	}
	signal := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case _, ok := <-watcher.Events:
				if !ok {
					return
				}
			case _, ok := <-watcher.Errors: // e.g. the queue overflowed: something changed
				if !ok {
					return
				}
			}
			select {
			case signal <- struct{}{}:
			default: // a reading is due already, and it will see this change too
			}
		}
	}()
	return signal, func() { _ = watcher.Close() }
}
