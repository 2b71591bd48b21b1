// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/thread"
)

func TestMain(m *testing.M) {
	if err := OwnNamespace(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// echo is a wire with a server at its far end that sends back what it gets, by TCP and by UDP.
func echo(t *testing.T) *Wire {
	t.Helper()
	w, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	var listener net.Listener
	var packets net.PacketConn
	err = thread.Discard(func() error {
		if err := w.Enter(); err != nil {
			return err
		}
		var errTCP, errUDP error
		listener, errTCP = net.Listen("tcp4", Server(1)+":7")
		packets, errUDP = net.ListenPacket("udp4", Server(1)+":7")
		return errors.Join(errTCP, errUDP)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = listener.Close(), packets.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	go func() {
		buffer := make([]byte, maxPacket)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = packets.WriteTo(buffer[:n], from)
		}
	}()
	return w
}

func dial(t *testing.T, network string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(network, Server(1)+":7", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func ask(t *testing.T, c net.Conn, message []byte) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(message); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, message); err != nil {
		t.Fatal(err)
	}
}

func TestAMessageTakesTheRoundTripAtLeast(t *testing.T) {
	w := echo(t)
	c := dial(t, "tcp4")
	for _, asked := range []time.Duration{0, 200 * time.Microsecond, time.Millisecond, 5 * time.Millisecond} {
		w.SetRoundTrip(asked)
		var took []time.Duration
		for range 101 {
			began := time.Now()
			ask(t, c, []byte("message"))
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		if took[0] < asked {
			t.Errorf("a round trip of %v took %v", asked, took[0])
		}
		t.Logf("asked %v: measured %v in the median, at least %v", asked, took[len(took)/2], took[0])
	}
}

func TestEachDirectionIsSetForItself(t *testing.T) {
	w := echo(t)
	c := dial(t, "tcp4")
	const slow = 20 * time.Millisecond
	for name, links := range map[string][2]Link{"to servers": {{Delay: slow}, {}}, "to clients": {{}, {Delay: slow}}} {
		w.Set(links[0], links[1])
		began := time.Now()
		ask(t, c, []byte("message"))
		if took := time.Since(began); took < slow {
			t.Errorf("%s: %v", name, took)
		}
	}
}

func TestPacketsGetLostAsAsked(t *testing.T) {
	w := echo(t)
	c := dial(t, "udp4")
	const sent, share = 4000, 0.2
	w.Set(Link{Loss: share}, Link{})
	got := 0
	for i := range sent {
		if _, err := c.Write(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
			t.Fatal(err)
		}
		if i%50 == 49 { // a socket holds no more than some hundred; what comes late counts later
			for answered(c, 5*time.Millisecond) {
				got++
			}
		}
	}
	for answered(c, time.Second) {
		got++
	}
	expected, deviation := sent*(1-share), math.Sqrt(sent*share*(1-share))
	if math.Abs(float64(got)-expected) > 6*deviation {
		t.Errorf("%d of %d arrived, expected %.0f ± %.0f", got, sent, expected, deviation)
	}
}

func answered(c net.Conn, within time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(within))
	_, err := c.Read(make([]byte, 4))
	return err == nil
}

func TestAJitterKeepsTheOrder(t *testing.T) {
	w := echo(t)
	c := dial(t, "udp4")
	w.Set(Link{Jitter: 2 * time.Millisecond}, Link{Jitter: 2 * time.Millisecond})
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	const rounds, sent = 10, 50 // a socket holds no more than some hundred
	for range rounds {
		for i := range sent {
			if _, err := c.Write(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
				t.Fatal(err)
			}
		}
		for i := range sent {
			message := make([]byte, 4)
			if _, err := c.Read(message); err != nil {
				t.Fatal(err)
			}
			if n := binary.BigEndian.Uint32(message); n != uint32(i) {
				t.Fatalf("message %d arrived as number %d", n, i)
			}
		}
	}
}

func TestARateIsNotExceeded(t *testing.T) {
	w := echo(t)
	c := dial(t, "tcp4")
	const rate, size = 4 << 20, 2 << 20
	w.Set(Link{Rate: rate}, Link{})
	began := time.Now()
	go func() { _, _ = c.Write(make([]byte, size)) }()
	if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < size*time.Second/rate {
		t.Errorf("%d bytes took %v at %d bytes a second", size, took, rate)
	}
}

func TestACutLosesEverythingAndAConnectionOutlivesIt(t *testing.T) {
	w := echo(t)
	tcp, udp := dial(t, "tcp4"), dial(t, "udp4")
	ask(t, tcp, []byte("message"))
	for name, links := range map[string][2]Link{"both ways": {{Cut: true}, {Cut: true}}, "to servers": {{Cut: true}, {}}, "to clients": {{}, {Cut: true}}} {
		w.Set(links[0], links[1])
		if _, err := udp.Write([]byte("lost")); err != nil {
			t.Fatal(err)
		}
		if answered(udp, 100*time.Millisecond) {
			t.Errorf("cut %s: answered", name)
		}
	}
	w.Set(Link{}, Link{})
	w.SetServer(0, Link{Cut: true}, Link{Cut: true})
	ask(t, udp, []byte("of server 1, which is not cut"))
	w.SetServer(1, Link{Cut: true}, Link{Cut: true})
	if _, err := tcp.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	w.Set(Link{}, Link{})
	_ = tcp.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(tcp, make([]byte, 4)); err != nil {
		t.Error("after the cut:", err)
	}
}

// TestRoundsAreCountedByWhatWaitsForWhat: what is asked one after the other counts, and what is asked side by side
// once.
func TestRoundsAreCountedByWhatWaitsForWhat(t *testing.T) {
	w := echo(t)
	connections := make([]net.Conn, 5)
	for i := range connections {
		connections[i] = dial(t, "tcp4")
	}
	w.SetRoundTrip(100 * time.Millisecond)
	inTurn := func() error {
		for _, c := range connections {
			ask(t, c, []byte("message"))
		}
		return nil
	}
	besides := func() error {
		for _, c := range connections {
			if _, err := c.Write([]byte("message")); err != nil {
				return err
			}
		}
		for _, c := range connections {
			if _, err := io.ReadFull(c, make([]byte, len("message"))); err != nil {
				return err
			}
		}
		return nil
	}
	for _, test := range []struct {
		name string
		do   func() error
		want []int // messages of each round
	}{
		{"nothing", func() error { return nil }, nil},
		{"in turn", inTurn, []int{1, 1, 1, 1, 1}},
		{"side by side", besides, []int{5}},
		{"in turn and side by side", func() error { return errors.Join(inTurn(), besides()) }, []int{1, 1, 1, 1, 1, 5}},
		{"bytes that need many packets", func() error { ask(t, connections[0], make([]byte, 5*maxPacket)); return nil }, nil},
	} {
		var mu sync.Mutex
		messages := map[int]int{}
		rounds, err := w.Rounds(test.do, func(round int, payload []byte) {
			mu.Lock()
			defer mu.Unlock()
			if string(payload) == "message" {
				messages[round]++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d rounds, %v", test.name, rounds, messages)
		if test.want == nil && rounds <= 1 {
			continue
		}
		mu.Lock()
		for round, n := range test.want {
			if messages[round] != n {
				t.Errorf("%s: %d messages in round %d, want %d", test.name, messages[round], round, n)
			}
		}
		mu.Unlock()
		if rounds != len(test.want) {
			t.Errorf("%s: %d rounds, want %d", test.name, rounds, len(test.want))
		}
	}
}
