// SPDX-License-Identifier: Apache-2.0

// Package wire is a network cable in software between two network namespaces of a test's own: it delays packets, loses
// some, carries so many bytes in a second and no more, or is cut, each way for itself. On loopback a request costs
// computing and hardly any waiting; over a network waiting is what costs.
//
// This process is at the near end, as clients of GlusterFS are; what Enter has started is at the far end, as servers
// are. The ends are TUN devices, as the kernels that this runs on need not have a delay in their own (netem). The
// packets go through this process, so a measurement's processors carry them, too: about 5 µs each.
package wire

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/thread"
)

// Network is what the addresses of both ends begin with. They are seen in the wire's two namespaces alone, so two
// wires at once may both have them.
const Network = "10.45.0."

const (
	nearHost = 254
	farHosts = 8
)

// Link is what one direction does with the packets of one server. The zero value passes them on as fast as it can.
type Link struct {
	// Delay is what every packet takes, and Jitter how much more it may be, by chance. Packets keep their order.
	Delay, Jitter time.Duration
	// Loss is the share of packets that get lost, from 0 to 1, by chance.
	Loss float64
	// Rate is how many bytes go into the wire in a second; 0 is no bound. What more is sent waits for its turn, as far as
	// a device's queue goes (1,000 packets), and is lost beyond that.
	Rate int64
	// Cut loses everything.
	Cut bool
}

// Wire is a wire between this process's network namespace and another one. Its methods may be called at the same time.
type Wire struct {
	namespace            int // descriptor of the far one
	toServers, toClients *direction
	hops                 hops
	running              sync.WaitGroup
}

// Open lays a wire, without any delay yet. The process must have a network namespace of its own (OwnNamespace). The
// caller must call Close; what runs at the far end should have ended before that.
func Open() (_ *Wire, err error) {
	near, err := openDevice(nearHost)
	if err != nil {
		return nil, fmt.Errorf("the near end of a wire: %w", err)
	}
	far, namespace := -1, -1
	err = thread.Discard(func() error {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = loopbackUp()
		}
		if err == nil {
			hosts := make([]int, farHosts)
			for i := range hosts {
				hosts[i] = i + 1
			}
			far, err = openDevice(hosts...)
		}
		if err == nil {
			namespace, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the far end of a wire: %w", err), closeAll(near, far))
	}
	w := &Wire{namespace: namespace}
	if w.toServers, err = newDirection(near, far, destination, &w.hops); err == nil {
		w.toClients, err = newDirection(far, near, source, &w.hops)
	}
	if err != nil {
		return nil, errors.Join(err, closeAll(near, far, namespace))
	}
	for _, d := range []*direction{w.toServers, w.toClients} {
		w.running.Go(d.run)
	}
	return w, nil
}

// Server is the address of a host at the far end, counted from 0; there are eight.
func Server(i int) string { return Network + strconv.Itoa(i+1) }

// Set says what the wire does from now on with packets to servers and with those to clients, whichever server it is.
// What is on its way arrives as it would have.
func (w *Wire) Set(toServers, toClients Link) {
	for i := range farHosts {
		w.SetServer(i, toServers, toClients)
	}
}

// SetServer is Set for one server, counted from 0.
func (w *Wire) SetServer(i int, toServer, toClients Link) {
	w.toServers.set(i, toServer)
	w.toClients.set(i, toClients)
}

// SetRoundTrip delays each direction by half of a time, and does nothing else.
func (w *Wire) SetRoundTrip(t time.Duration) {
	half := Link{Delay: t / 2}
	w.Set(half, half)
}

// Enter moves the calling thread to the far end; a process that it starts lives there from then on. The thread should
// not be used for anything else afterwards.
func (w *Wire) Enter() error {
	if err := unix.Setns(w.namespace, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the far end of a wire: %w", err)
	}
	return nil
}

// Close takes the wire away. Closing again does nothing more.
func (w *Wire) Close() error {
	if w.namespace < 0 {
		return nil
	}
	err := errors.Join(w.toServers.stop(), w.toClients.stop())
	w.running.Wait()
	err = errors.Join(err, closeAll(w.toServers.from, w.toClients.from, w.toServers.wake, w.toClients.wake, w.namespace))
	w.namespace = -1
	return err
}

func closeAll(fds ...int) error {
	var err error
	for _, fd := range fds {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	return err
}
