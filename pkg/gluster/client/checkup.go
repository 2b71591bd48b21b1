// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
)

// checkups is what is known of one client's own state. Its zero value knows nothing.
type checkups struct {
	mu      sync.Mutex
	last    *meta.Reading
	err     error // of the reading that ended last
	asked   time.Time
	pending chan struct{} // closed when the reading under way ends; nil if none is
}

// AnswerLimit is how long Checkup waits for fresh answers of bricks. They take milliseconds; those who want to know have a second.
const AnswerLimit = 500 * time.Millisecond

// stateLimit is how long a client may take to tell its own state. It takes a millisecond.
const stateLimit = 100 * time.Millisecond

// Checkup asks the bricks, by way of the client, for a sign of life, and then the client for its own state. It returns when both
// have answered, at the latest after AnswerLimit and stateLimit, or stateLimit alone where an answer is overdue already or ctx is
// done. What has not come back is waited for by the next Checkup and not asked again: a client costs two goroutines at most,
// however many callers there are.
func (c *Client) Checkup(ctx context.Context) {
	if q := c.ask(); q != nil {
		c.wait(ctx, AnswerLimit-time.Since(q.asked), q.done)
	}
	c.wait(context.WithoutCancel(ctx), stateLimit, c.checkups.start(&c.meta))
}

func (c *Client) wait(ctx context.Context, limit time.Duration, done <-chan struct{}) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-c.process.Exited():
	case <-ctx.Done():
	case <-timer.C:
	}
}

// start begins a reading, if none is under way, and returns what is closed when it ends.
func (k *checkups) start(m *meta.Reader) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pending == nil {
		done := make(chan struct{})
		k.pending, k.asked = done, time.Now()
		go func() {
			defer close(done)
			r, err := m.Read()
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

func (k *checkups) observe(o *Observed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o.Reading, o.ReadErr, o.ReadAsked = k.last, k.err, k.asked
}

// Observed is what is known of a running client at one moment.
type Observed struct {
	Reading    *meta.Reading // its own state, read last; nil if there was none yet
	ReadErr    error         // why there is no newer one
	ReadAsked  time.Time     // when the reading under way began; zero if none is
	ProbeAsked time.Time     // when the probe under way began; zero if none is
	Before     *meta.Reading // just before that; may be nil
	ProbeErr   error         // of the last probe that ended; ErrGone if the client is not there any more
	Answered   time.Time     // when a probe succeeded last; zero if never
}

// Observed returns what is known now, without asking anybody.
func (c *Client) Observed() Observed {
	var o Observed
	c.probes.observe(&o)
	c.checkups.observe(&o)
	return o
}
