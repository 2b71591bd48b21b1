// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
)

// While the servers are away, the next start is tried after twice the time. So it is with the manyDeaths-th client that
// has died within ten minutes, and with each after it. Somebody who kills a client, or several updates in a row, have a
// start at once. A client that dies again and again does not: each death breaks the files that are open, and each start
// and repair costs the servers and the whole node something. Ten minutes is what keeps the longest delay in force for a
// client that lives for up to a minute and a half each time: five deaths take four delays of a minute, and four lives.
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

// note is for clients that have died. After a few deaths there is a start without delay.
func (b *backoff) note(deaths client.Deaths) {
	died := deaths.All - b.deaths.All
	b.deaths = deaths
	if died > 0 && deaths.Recent < manyDeaths {
		b.delay, b.next = 0, time.Time{}
	}
	for range min(died, deaths.Recent-manyDeaths+1) {
		b.failed()
	}
}
