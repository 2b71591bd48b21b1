// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
)

// Container is a process in a mount namespace of its own: nothing that is mounted on the host later reaches it.
type Container struct{ *container.Container }

// NewContainer starts one. The package's TestMain calls container.Main, with Verbs if it wants one of those.
func NewContainer(t *testing.T) Container {
	t.Helper()
	return Container{new(container.Container).Start(t)}
}

// Does has the process do one thing with a path, and returns what it says of it: its answer, quoted, and the error.
func (c Container) Does(verb, path string) string {
	data, err := c.Do(verb, path)
	return fmt.Sprintf("%q %v", data, err)
}

// Verbs are what such a process can do beside what every container can: "load" writes a file until it is to "stop", and
// "progress" tells on the way how many records are acknowledged, and how many errors there were.
func Verbs() map[string]container.Verb {
	var load *writer
	return map[string]container.Verb{
		"load": func(args ...string) ([]byte, error) {
			load = startWriter(args[0])
			return nil, nil
		},
		"progress": func(...string) ([]byte, error) { return load.progress(), nil },
		"stop":     func(...string) ([]byte, error) { return load.stop(), nil },
	}
}

// writer appends numbered lines to a file, each synced before the next, and opens it again after an error: an
// application.
type writer struct {
	acknowledged, errors atomic.Int64
	stopping, stopped    chan struct{}
}

func startWriter(path string) *writer {
	w := &writer{stopping: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(w.stopped)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			if err := w.write(path, ticker.C); err == nil {
				return
			}
			w.errors.Add(1)
			<-ticker.C
		}
	}()
	return w
}

// write returns nil when it was told to stop.
func (w *writer) write(path string, pace <-chan time.Time) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		select {
		case <-w.stopping:
			return nil
		case <-pace:
		}
		// On a line of its own, whatever became of the one before.
		_, err := fmt.Fprintf(f, "\n%d\n", w.acknowledged.Load())
		if err := errors.Join(err, f.Sync()); err != nil {
			return err
		}
		w.acknowledged.Add(1)
	}
}

func (w *writer) progress() []byte {
	failed := w.errors.Load() // first, so that what is acknowledged is not older
	return fmt.Appendf(nil, "%d %d", w.acknowledged.Load(), failed)
}

func (w *writer) stop() []byte {
	close(w.stopping)
	<-w.stopped
	return w.progress()
}
