// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"

	"github.com/fsnotify/fsnotify"
	"k8s.io/klog/v2"
)

// watch says when something in one of its directories changed, also in one that was removed and made again.
type watch struct {
	directories []string
	watcher     *fsnotify.Watcher // nil where the node is out of inotify instances
	changes     chan struct{}
}

func newWatch(ctx context.Context, directories ...string) *watch {
	w := &watch{directories: directories, changes: make(chan struct{}, 1)}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		klog.FromContext(ctx).Info("Cannot watch kubelet's directory, looking at intervals instead", "interval", retryInterval, "reason", err)
		return w
	}
	w.watcher = watcher
	go w.forward()
	return w
}

// forward ends with close.
func (w *watch) forward() {
	for {
		select {
		case _, ok := <-w.watcher.Events:
			if !ok {
				return
			}
		case _, ok := <-w.watcher.Errors: // e.g. the queue overflowed: something changed
			if !ok {
				return
			}
		}
		select {
		case w.changes <- struct{}{}:
		default: // a look is due already, and it will see this change too
		}
	}
}

// renew watches the directories that are there now. For one that is watched already this changes nothing; one that was removed lost its watch.
func (w *watch) renew() {
	if w.watcher == nil {
		return
	}
	for _, directory := range w.directories {
		_ = w.watcher.Add(directory) // one that is missing appears in the other one, or is seen at an interval
	}
}

func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close()
	}
}
