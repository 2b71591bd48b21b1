// SPDX-License-Identifier: Apache-2.0

package reconnect

import "time"

// pace is how long a client may be without bricks before the first trial, and how far apart trials become: each that finds no more
// bricks is followed by the next after twice the time, as a server may be away for days.
type pace struct{ first, longest time.Duration }

// paces are those of clients that have lost all bricks, so that nothing can be read or written, and of those that have lost some: all
// works then, with a copy less of each file.
type paces struct{ withoutAny, withoutSome pace }

var usualPaces = paces{
	withoutAny:  pace{30 * time.Second, 10 * time.Minute},
	withoutSome: pace{5 * time.Minute, time.Hour},
}

func (p paces) of(all bool) pace {
	if all {
		return p.withoutAny
	}
	return p.withoutSome
}

// outage is what is known of the bricks that one client has not had for a while. The zero value is a client that has all.
type outage struct {
	since time.Time // zero: there is none
	all   bool      // bricks are lost
	wait  time.Duration
	due   time.Time // of the next trial
}

// look notes how many of a client's bricks are not connected, and says whether a trial is due.
func (o *outage) look(lost, bricks int, now time.Time, p paces) bool {
	if lost == 0 {
		*o = outage{}
		return false
	}
	if all := lost == bricks; o.since.IsZero() || all != o.all {
		if o.since.IsZero() {
			o.since = now
		}
		o.all, o.wait = all, p.of(all).first
		o.due = now.Add(o.wait)
	}
	return !now.Before(o.due)
}

// tried is for a trial that has found no more bricks.
func (o *outage) tried(now time.Time, p paces) {
	o.wait = min(2*o.wait, p.of(o.all).longest)
	o.due = now.Add(o.wait)
}
