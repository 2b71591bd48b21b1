// SPDX-License-Identifier: Apache-2.0

// Package glusterd asks the servers of a cluster: for a sign of life, whether the glusterd of each answers the first
// call that any client of GlusterFS makes; and for what they tell any process of GlusterFS, its volfile. It needs no
// client, no authentication and no clusters file, changes nothing, and blocks for two seconds at most.
package glusterd

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

const (
	// Port is the one on which glusterd listens (TCP).
	Port = "24007"
	// timeout is how long an answer is waited for. A healthy server answers in a millisecond, and one far away in a
	// fraction of a second.
	timeout = 2 * time.Second
)

// Answers is what servers answered when they were asked for a sign of life.
type Answers struct {
	Order   []string          // all servers, one that answered first
	trouble map[string]string // why others did not answer, as far as it was waited for
}

// Unasked is for servers that have not been asked, in their given order.
func Unasked(servers []string) Answers { return Answers{Order: servers} }

// Probe asks all servers at once for a sign of life and returns with the first one that gives it, after two seconds
// at most. It only finds the best order for a client, which tries its volfile servers in turn: one that refuses
// connections costs it 3 s, and at one that accepts and then says nothing (a glusterd that is stopped, a machine out
// of memory) it stays for ever (measured: 110 s with a healthy second server). Where no server answers in time (or
// all want TLS), the order is the given one, and the client finds out.
func Probe(ctx context.Context, servers []string) Answers {
	answers := Answers{Order: servers, trouble: map[string]string{}}
	ask(ctx, servers, signOfLife, func(server string, _ []byte, err error) (enough bool) {
		if err != nil {
			answers.trouble[server] = describeTrouble(err)
			return false
		}
		others := slices.DeleteFunc(slices.Clone(servers), func(other string) bool { return other == server })
		answers.Order = append([]string{server}, others...)
		return true
	})
	return answers
}

// AllSilent asks all servers at once, for two seconds at most. It returns "" if one of them gives a sign of life,
// else all of them with their trouble. One that hangs up is alive: it may want TLS.
func AllSilent(ctx context.Context, servers []string) string {
	answers := Answers{Order: servers, trouble: map[string]string{}}
	alive := false
	ask(ctx, servers, signOfLife, func(server string, _ []byte, err error) (enough bool) {
		if alive = err == nil || hungUp(err); !alive {
			answers.trouble[server] = describeTrouble(err)
		}
		return alive
	})
	if alive {
		return ""
	}
	return answers.String()
}

// ask puts the question to all servers at once and calls heard with each answer as it comes, until heard says that it
// is enough. Nothing of it goes on when it returns (TestTheFirstThatAnswersComesFirst).
func ask(
	ctx context.Context, servers []string, question func(ctx context.Context, server string) ([]byte, error),
	heard func(server string, said []byte, err error) (enough bool),
) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	type answer struct {
		server string
		said   []byte
		err    error
	}
	answers := make(chan answer, len(servers))
	for _, server := range servers {
		go func() {
			a := answer{server: server}
			if caught := panics.Try(func() { a.said, a.err = question(ctx, server) }); caught != nil {
				a.err = caught.Logged("question to a server")
			}
			answers <- a
		}()
	}
	enough := false
	for range servers {
		if a := <-answers; !enough && heard(a.server, a.said, a.err) {
			enough = true
			cancel()
		}
	}
}

// String lists the servers and what is wrong with them.
func (a Answers) String() string {
	var described []string
	for _, server := range a.Order {
		if trouble := a.trouble[server]; trouble != "" {
			server += " (" + trouble + ")"
		}
		described = append(described, server)
	}
	return strings.Join(described, ", ")
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

func describeTrouble(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return "its name does not resolve: " + dns.Err
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case hungUp(err):
		return "closed the connection"
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
