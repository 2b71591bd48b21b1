// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// AnswerLimit is how long Checkup waits for fresh answers of bricks. They take milliseconds; those who want to know
// have a second.
const AnswerLimit = 500 * time.Millisecond

// stateLimit is how long a client may take to tell its own state. It takes a millisecond.
const stateLimit = 100 * time.Millisecond

// Checkup asks the bricks, by way of the client, for a sign of life, and then the client for its own state. It
// returns when both have answered, at the latest after AnswerLimit and stateLimit, or stateLimit alone where an
// answer is overdue already or ctx is done. What has not come back is waited for by the next Checkup and not asked
// again: a client costs two goroutines at most, however many callers there are.
func (p *Prober) Checkup(ctx context.Context) {
	if q := p.ask(); q != nil {
		p.wait(ctx, AnswerLimit-time.Since(q.asked), q.done)
	}
	p.wait(context.WithoutCancel(ctx), stateLimit, p.AskState())
}

func (p *Prober) wait(ctx context.Context, limit time.Duration, done <-chan struct{}) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-p.process.Exited():
	case <-ctx.Done():
	case <-timer.C:
	}
}

// readings is what is known of one client's own state. Its zero value knows nothing.
type readings struct {
	last    *meta.Reading
	err     error         // of the reading that ended last
	asked   time.Time     // when the one under way began; zero if none is
	pending chan struct{} // closed when it ends; nil if none is
}

func (r *readings) ask() (pending chan struct{}, isNew bool) {
	if r.pending == nil {
		r.pending, r.asked, isNew = make(chan struct{}), time.Now(), true
	}
	return r.pending, isNew
}

func (r *readings) answer(reading *meta.Reading, err error) {
	r.pending, r.asked, r.err = nil, time.Time{}, err
	if err == nil {
		r.last = reading
	}
}

// AskState begins a reading of the client's own state, if none is under way, and returns what is closed when it ends.
func (p *Prober) AskState() <-chan struct{} {
	p.mu.Lock()
	pending, isNew := p.readings.ask()
	p.mu.Unlock()
	if isNew {
		go func() {
			defer close(pending)
			reading, err := p.readMeta()
			p.mu.Lock()
			defer p.mu.Unlock()
			p.readings.answer(reading, err)
		}()
	}
	return pending
}

func (p *Prober) readMeta() (reading *meta.Reading, err error) {
	err = panics.Guard("reading of a client's own state", func() (err error) {
		reading, err = p.meta.Read()
		return err
	})
	return reading, err
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
func (p *Prober) Observed() Observed {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := Observed{
		Answered: p.probes.answered, ProbeErr: p.probes.failed,
		Reading: p.readings.last, ReadErr: p.readings.err, ReadAsked: p.readings.asked,
	}
	if p.probes.pending != nil {
		o.ProbeAsked, o.Before = p.probes.pending.asked, p.probes.pending.before
	}
	return o
}
