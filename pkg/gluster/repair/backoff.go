// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
)

// While the servers are away, the next start is tried after twice the time. So it is after manyDeaths in a row of
// clients that died young.
const (
	minBackoff, maxBackoff = time.Second, time.Minute
	manyDeaths             = 5
)

// backoff is when a slot's next start for a repair is due.
type backoff struct {
	delay  time.Duration
	next   time.Time
	deaths client.Deaths // that are in it
}

func (b *backoff) isDue() bool { return !time.Now().Before(b.next) }

// failed is for a start that failed.
func (b *backoff) failed() {
	b.delay = min(max(2*b.delay, minBackoff), maxBackoff)
	b.next = time.Now().Add(b.delay)
}

// note is for clients that have died. One that had lived has a start without delay after it.
func (b *backoff) note(deaths client.Deaths) {
	died := deaths.All - b.deaths.All
	b.deaths = deaths
	if died > deaths.Young {
		b.delay, b.next = 0, time.Time{}
	}
	for range min(died, deaths.Young-manyDeaths+1) {
		b.failed()
	}
}
