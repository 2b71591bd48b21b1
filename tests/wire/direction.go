// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// queueBytes may wait for their turn where there is a Rate: 1,000 packets, as a device of Linux has it.
	queueBytes = 1000 * maxPacket
	// maxBytes may be on their way at all: more than any rate and delay of a test makes; what exceeds it is lost.
	maxBytes = 64 << 20
	// atOnce packets are read before those that are due go out.
	atOnce = 64
)

// Where the last byte of an address is in a packet (RFC 791).
const (
	source      = 15
	destination = 19
)

// direction carries packets from one device to the other. One thread does it: a goroutine's timers are exact to a
// millisecond, ppoll's to some ten microseconds.
type direction struct {
	from, to int // descriptors of the devices
	server   int // where a packet says which server it is of
	wake     int // an eventfd: written to when run is to end
	hops     *hops

	mu    sync.Mutex
	links [farHosts]Link

	// What follows is run's alone.
	lanes [farHosts]lane
	queue []packet // the one that is due first comes first
	bytes int
	free  [][]byte
}

// lane is what is known of the packets of one server.
type lane struct {
	sentAt time.Time // when the last one is wholly in the wire, where there is a Rate
	lastAt time.Time // when the last one is due
}

type packet struct {
	due     time.Time
	data    []byte
	server  int
	carries int // see hops
}

func newDirection(from, to, server int, hops *hops) (*direction, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return &direction{from: from, to: to, server: server, wake: wake, hops: hops}, err
}

func (d *direction) isToServers() bool { return d.server == destination }

func (d *direction) set(i int, l Link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.links[i] = l
}

func (d *direction) stop() error {
	_, err := unix.Write(d.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	return err
}

func (d *direction) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel may end a wait this much late, by default 50 µs. Without it the wire is less exact, no more.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	for d.wait() {
		d.read()
		d.deliver()
	}
}

// wait returns when a packet has come or is due; false when run is to end.
func (d *direction) wait() bool {
	fds := []unix.PollFd{{Fd: int32(d.from), Events: unix.POLLIN}, {Fd: int32(d.wake), Events: unix.POLLIN}}
	var timeout *unix.Timespec
	if len(d.queue) > 0 {
		left := unix.NsecToTimespec(max(0, time.Until(d.queue[0].due)).Nanoseconds())
		timeout = &left
	}
	_, err := unix.Ppoll(fds, timeout, nil)
	return errors.Is(err, unix.EINTR) || err == nil && fds[1].Revents == 0
}

func (d *direction) read() {
	d.mu.Lock()
	links := d.links
	d.mu.Unlock()
	for range atOnce {
		buffer := d.buffer()
		n, err := unix.Read(d.from, buffer)
		if err != nil || n == 0 {
			d.free = append(d.free, buffer)
			return // EAGAIN: that was all; anything else is for the next turn
		}
		due, arrives := time.Time{}, false
		i := int(buffer[d.server]) - 1
		if n > destination && i >= 0 && i < farHosts && d.bytes+n <= maxBytes {
			due, arrives = d.lanes[i].due(links[i], n)
		}
		if arrives {
			d.add(packet{due, buffer[:n], i, d.hops.leaves(d.isToServers(), i, buffer[:n])})
		} else {
			d.free = append(d.free, buffer)
		}
	}
}

func (d *direction) add(p packet) {
	at := len(d.queue)
	for at > 0 && d.queue[at-1].due.After(p.due) {
		at--
	}
	d.queue = slices.Insert(d.queue, at, p)
	d.bytes += len(p.data)
}

// due says when a packet that comes now goes out at the other end, if it does.
func (q *lane) due(l Link, size int) (due time.Time, arrives bool) {
	now := time.Now()
	if l.Cut || l.Loss > 0 && rand.Float64() < l.Loss {
		return now, false
	}
	due = now
	if l.Rate > 0 {
		if q.sentAt.Before(now) {
			q.sentAt = now
		}
		if waiting := q.sentAt.Sub(now).Seconds() * float64(l.Rate); waiting > queueBytes {
			return now, false
		}
		q.sentAt = q.sentAt.Add(time.Duration(float64(size) / float64(l.Rate) * float64(time.Second)))
		due = q.sentAt
	}
	due = due.Add(l.Delay)
	if l.Jitter > 0 {
		due = due.Add(rand.N(l.Jitter))
	}
	if due.Before(q.lastAt) {
		due = q.lastAt
	}
	q.lastAt = due
	return due, true
}

// deliver sends what is due. What the device does not take is lost, as on a wire.
func (d *direction) deliver() {
	sent := 0
	for _, p := range d.queue {
		if time.Until(p.due) > 0 {
			break
		}
		d.hops.arrives(d.isToServers(), p.server, p.carries) // before whoever gets it can answer
		_, _ = unix.Write(d.to, p.data)
		d.bytes -= len(p.data)
		d.free = append(d.free, p.data[:cap(p.data)])
		sent++
	}
	d.queue = append(d.queue[:0], d.queue[sent:]...)
}

func (d *direction) buffer() []byte {
	if last := len(d.free) - 1; last >= 0 {
		b := d.free[last]
		d.free = d.free[:last]
		return b
	}
	return make([]byte, maxPacket)
}
