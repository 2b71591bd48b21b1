// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"context"
	"sync"
	"time"
)

// checkups is what is known of one client's own state. Its zero value knows nothing.
type checkups struct {
	mu      sync.Mutex
	last    *reading
	err     error // of the reading that ended last
	asked   time.Time
	pending chan struct{} // closed when the reading under way ends; nil if none is
}

// stateLimit is how long a client may take to tell its own state. It takes a millisecond.
const stateLimit = 100 * time.Millisecond

// checkup asks the bricks, by way of the client, for a sign of life, and then the client for its own state. It returns when both
// have answered, at the latest after answerLimit and stateLimit, or stateLimit alone where an answer is overdue already or ctx is
// done. What has not come back is waited for by the next checkup and not asked again: a client costs two goroutines at most,
// however many callers there are.
func (c *Client) checkup(ctx context.Context) {
	if q := c.ask(); q != nil {
		c.wait(ctx, answerLimit-time.Since(q.asked), q.done)
	}
	c.wait(context.WithoutCancel(ctx), stateLimit, c.checkups.start(&c.meta))
}

func (c *Client) wait(ctx context.Context, limit time.Duration, done <-chan struct{}) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-c.process.exited:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// start begins a reading, if none is under way, and returns what is closed when it ends.
func (k *checkups) start(m *meta) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pending == nil {
		done := make(chan struct{})
		k.pending, k.asked = done, time.Now()
		go func() {
			defer close(done)
			r, err := m.read()
			k.mu.Lock()
			defer k.mu.Unlock()
			k.pending, k.asked, k.err = nil, time.Time{}, err
			if err == nil {
				k.last = r
			}
		}()
	}
	return k.pending
}

// waiting is how long the reading under way has been waited for; 0 if none is.
func (k *checkups) waiting() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asked.IsZero() {
		return 0
	}
	return time.Since(k.asked)
}

// view is what is known about the client now.
func (c *Client) view(now time.Time) view {
	v := view{volume: c.slot.volume, pid: c.process.pid, now: now}
	c.mu.Lock()
	v.answered, v.probeErr = c.answered, c.failed
	if c.question != nil {
		v.probeAsked, v.before = c.question.asked, c.question.before
	}
	c.mu.Unlock()
	c.checkups.mu.Lock()
	defer c.checkups.mu.Unlock()
	v.reading, v.readErr, v.readAsked = c.checkups.last, c.checkups.err, c.checkups.asked
	return v
}

// remember keeps what the bricks had sent before the question.
func (c *Client) remember(q *question) {
	before, err := c.meta.read()
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	q.before = before
}
