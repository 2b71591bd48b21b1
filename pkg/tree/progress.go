// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"
)

// reportPeriod is how often a long walk says where it is.
const reportPeriod = 10 * time.Second

// progress counts what has been visited.
type progress struct {
	entries, bytes atomic.Int64
}

// report logs the progress of a walk that takes longer than a period, and its end, until the returned function is called.
func (p *progress) report(ctx context.Context, task, path string, period time.Duration) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		start := time.Now()
		ticker := time.NewTicker(period)
		defer ticker.Stop()
		last := start
		var before int64
		for {
			select {
			case now := <-ticker.C:
				entries := p.entries.Load()
				p.log(ctx, "Still "+task, path, now.Sub(start), float64(entries-before)/now.Sub(last).Seconds())
				last, before = now, entries
			case <-done:
				if last != start {
					took := time.Since(start)
					p.log(ctx, "Ended "+task, path, took, float64(p.entries.Load())/took.Seconds())
				}
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (p *progress) log(ctx context.Context, message, path string, took time.Duration, rate float64) {
	fields := []any{"path", path, "entries", p.entries.Load(), "entriesPerSecond", int64(rate), "took", took.Round(time.Millisecond)}
	if bytes := p.bytes.Load(); bytes > 0 {
		fields = append(fields, "bytes", bytes)
	}
	klog.FromContext(ctx).Info(message, fields...)
}
