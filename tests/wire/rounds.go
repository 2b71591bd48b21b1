// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"
)

// Rounds calls do and returns how many round trips one after the other led to its end: the longest chain of messages to
// servers of which each was sent after the answer to the one before had come. What is sent side by side counts once.
// sent, if it is not nil, gets what goes to servers, packet by packet, and in which round, counted from 0; it is called
// by the wire, and must neither wait nor keep the bytes.
//
// Each end has a clock that counts hops, and each message carries the one of its sender: who hears a message knows of
// everything that its sender knew of. So computing does not count, however slow the machine is, and an acknowledgement
// of TCP is no message. What others send meanwhile counts only as far as it is heard in time: of two chains side by
// side the longer one counts, unless computing holds one of them up for longer than a round trip. So the wire should
// have one that is long (SetRoundTrip).
func (w *Wire) Rounds(do func() error, sent func(round int, payload []byte)) (int, error) {
	began := w.hops.watch(sent)
	defer w.hops.watch(nil)
	err := do()
	return (w.hops.heard() - began + 1) / 2, err
}

// hops are the clocks of both ends.
type hops struct {
	mu    sync.Mutex
	near  int
	far   [farHosts]int
	began int
	sent  func(round int, payload []byte)
}

func (h *hops) heard() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.near
}

// watch begins to count. What servers have heard already, and not answered, is taken to have been answered.
func (h *hops) watch(sent func(round int, payload []byte)) (began int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, heard := range h.far {
		h.near = max(h.near, heard+1)
	}
	h.began, h.sent = h.near, sent
	return h.began
}

// leaves returns what a packet to or from a server carries.
func (h *hops) leaves(toServer bool, server int, packet []byte) int {
	payload := payloadOf(packet)
	if len(payload) == 0 {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !toServer {
		return h.far[server] + 1
	}
	if h.sent != nil {
		h.sent((h.near-h.began)/2, payload)
	}
	return h.near + 1
}

// arrives is called with what a packet carries, 0 for nothing.
func (h *hops) arrives(toServer bool, server, carries int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	end := &h.near
	if toServer {
		end = &h.far[server]
	}
	*end = max(*end, carries)
}

// payloadOf is what a packet of TCP has beside its headers (RFC 791, RFC 9293), nothing for any other.
func payloadOf(packet []byte) []byte {
	const least = 20 // bytes of either header
	if len(packet) < least || packet[9] != unix.IPPROTO_TCP {
		return nil
	}
	end := min(len(packet), int(binary.BigEndian.Uint16(packet[2:])))
	tcp := int(packet[0]&0xf) * 4
	if end < tcp+least {
		return nil
	}
	begin := tcp + int(packet[tcp+12]>>4)*4
	if begin >= end {
		return nil
	}
	return packet[begin:end]
}
