// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func newMonitor() *Monitor {
	well := func(context.Context) error { return nil }
	return New("127.0.0.1:0", prometheus.NewRegistry(), Questions{Alive: well, Ready: well})
}

// one is a listener with one connection.
type one chan net.Conn

func (l one) Accept() (net.Conn, error) {
	if conn, ok := <-l; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l one) Close() error { return nil }

func (l one) Addr() net.Addr { return &net.UnixAddr{} }

const asks = "GET /healthz HTTP/1.1\r\nHost: node\r\n"

// Else whoever reaches the port leaves the process without memory.
func TestNoCallerStays(t *testing.T) {
	for name, says := range map[string]string{
		"one that says nothing": "", "one that does not say all": asks, "one that asks nothing more": asks + "\r\n",
		"one whose body does not come": asks + "Content-Length: 9\r\n\r\n",
	} {
		for _, reads := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, and reads: %t", name, reads), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newMonitor()
					closed := make(chan struct{})
					m.server.ConnState = func(_ net.Conn, state http.ConnState) {
						if state == http.StateClosed {
							close(closed)
						}
					}
					caller, served := net.Pipe()
					listener := make(one, 1)
					listener <- served
					go func() { _ = m.server.Serve(listener) }()
					if reads {
						go func() { _, _ = io.Copy(io.Discard, caller) }()
					}
					_, _ = io.Copy(caller, strings.NewReader(says))
					began := time.Now()
					<-closed
					if lasted := time.Since(began); lasted > 2*time.Minute {
						t.Errorf("its connection has lasted %v", lasted)
					}
					close(listener)
				})
			})
		}
	}
}

func TestManyCallersWaitForEachOther(t *testing.T) {
	m := newMonitor()
	listener := m.listen(t.Context())
	go func() { _ = m.server.Serve(listener) }()
	defer func() { _ = m.server.Close() }()
	call := func() net.Conn {
		t.Helper()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	var first net.Conn
	for range maxConnections {
		first = call()
	}
	last := call()
	if _, err := io.WriteString(last, asks+"\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("HTTP/1.1 200"))
	_ = last.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := last.Read(answer); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one too many was answered: %q, %v", answer[:n], err)
	}
	_ = first.Close()
	_ = last.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadFull(last, answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Errorf("then %q, %v", answer, err)
	}
}
