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

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
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
	Order   []string                     // all servers, one that answered first
	trouble map[string]string            // why others did not answer, as far as it was waited for
	faults  map[string]credentials.Fault // of TLS, of those of them where there is one
}

// Unasked is for servers that have not been asked, in their given order.
func Unasked(p Pool) Answers { return newAnswers(p) }

func newAnswers(p Pool) Answers {
	return Answers{Order: p.Servers, trouble: map[string]string{}, faults: map[string]credentials.Fault{}}
}

// failed notes why a server did not answer.
func (a Answers) failed(server string, err error) {
	a.trouble[server] = describeTrouble(err)
	if fault := credentials.FaultOf(err); fault != "" {
		a.faults[server] = fault
	}
}

// Fault is what keeps this host and a server from each other over TLS: "" if nothing does, or another one answers.
func (a Answers) Fault() credentials.Fault {
	if len(a.trouble) < len(a.Order) {
		return ""
	}
	for _, server := range a.Order {
		if fault := a.faults[server]; fault != "" {
			return fault
		}
	}
	return ""
}

// Probe asks all servers at once for a sign of life and returns with the first one that gives it, after two seconds
// at most. It only finds the best order for a client, which tries its volfile servers in turn: one that refuses
// connections costs it 3 s, and at one that accepts and then says nothing (a glusterd that is stopped, a machine out
// of memory) it stays for ever (measured: 110 s with a healthy second server). Where no server answers in time, the
// order is the given one, and the client finds out.
func (p Pool) Probe(ctx context.Context) Answers {
	answers := newAnswers(p)
	ask(ctx, p.Servers, p.signOfLife, func(server string, _ []byte, err error) (enough bool) {
		if err != nil {
			answers.failed(server, err)
			return false
		}
		others := slices.DeleteFunc(slices.Clone(p.Servers), func(other string) bool { return other == server })
		answers.Order = append([]string{server}, others...)
		return true
	})
	return answers
}

// AllSilent asks all servers at once, for two seconds at most. It returns "" if one of them gives a sign of life,
// else all of them with their trouble. One that hangs up, or with which TLS fails, is alive; where this host has no
// certificates to ask with, nothing is known.
func (p Pool) AllSilent(ctx context.Context) string {
	answers := newAnswers(p)
	alive := false
	ask(ctx, p.Servers, p.signOfLife, func(server string, _ []byte, err error) (enough bool) {
		alive = err == nil || hungUp(err) || credentials.FaultOf(err) != "" || errors.Is(err, credentials.ErrUnusable)
		if !alive {
			answers.failed(server, err)
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
			a.err = panics.Guard("question to a server", func() (err error) {
				a.said, err = question(ctx, server)
				return err
			})
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
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func describeTrouble(err error) string {
	var dns *net.DNSError
	switch {
	case credentials.FaultOf(err) != "":
		return string(credentials.FaultOf(err))
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
