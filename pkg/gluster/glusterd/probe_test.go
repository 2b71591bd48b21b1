// SPDX-License-Identifier: Apache-2.0

package glusterd

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Addresses of loopback where nothing listens.
const refusing, alsoRefusing = "127.87.1.1", "127.87.1.2"

// pool is of servers that are spoken to in plain text.
func pool(servers ...string) Pool { return Pool{Servers: servers} }

// newServer answers the first bytes of each connection with these, and hangs up.
func newServer(t *testing.T, address string, answer []byte) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(address, Port))
	if err != nil {
		t.Fatal(err)
	}
	answerAll(t, listener, answer)
	return address
}

// answerAll answers the first bytes of each connection with these, and hangs up, until the test ends.
func answerAll(t *testing.T, listener net.Listener, answer []byte) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 64))
			_, _ = conn.Write(answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
}

// reply is the start of a glusterd's answer: a fragment header, the call's xid, and REPLY.
var reply = []byte{0x80, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 1}

func TestTheFirstThatAnswersComesFirst(t *testing.T) {
	silent := testcluster.SilentServer(t, "127.87.1.3")
	alive := newServer(t, "127.87.1.4", reply)
	before := runtime.NumGoroutine()
	answers := pool(refusing, silent, "no-such-host.invalid", alive).Probe(t.Context())
	if want := []string{alive, refusing, silent, "no-such-host.invalid"}; !slices.Equal(answers.Order, want) {
		t.Errorf("the order is %v, want %v", answers.Order, want)
	}
	testcluster.Eventually(t, 30*time.Second, func() error {
		if after := runtime.NumGoroutine(); after > before {
			return fmt.Errorf("%d goroutines became %d", before, after)
		}
		return nil
	})
	if text := answers.String(); strings.Contains(text, "cancel") {
		t.Errorf("what was not waited for is told as trouble: %s", text)
	}
}

func TestWithoutAnAnswerTheOrderIsKept(t *testing.T) {
	stranger := newServer(t, "127.87.1.5", []byte("HTTP/1.1 400"))
	answers := pool(refusing, stranger).Probe(t.Context())
	if want := []string{refusing, stranger}; !slices.Equal(answers.Order, want) {
		t.Errorf("the order is %v, want %v", answers.Order, want)
	}
	for _, says := range []string{refusing + " (connection refused)", stranger + " (answers like no glusterd"} {
		if !strings.Contains(answers.String(), says) {
			t.Errorf("%s lacks %q", answers, says)
		}
	}
}

func TestAllAreSilentUnlessOneGivesASign(t *testing.T) {
	hangsUp, alive := newServer(t, "127.87.1.6", nil), newServer(t, "127.87.1.7", reply)
	for name, test := range map[string]struct {
		servers []string
		want    string
	}{
		"one answers":  {[]string{refusing, alive}, ""},
		"one hangs up": {[]string{refusing, hangsUp}, ""}, // it may want TLS
		"all refuse": {
			[]string{refusing, alsoRefusing}, refusing + " (connection refused), " + alsoRefusing + " (connection refused)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pool(test.servers...).AllSilent(t.Context()); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
