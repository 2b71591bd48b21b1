// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	glusterdPort = "24007"
	// A healthy server answers in a millisecond, and one far away in a fraction of a second.
	greetTimeout = 2 * time.Second
)

// greeting is what servers answered when they were asked for a sign of life.
type greeting struct {
	order   []string          // all servers, one that answered first
	trouble map[string]string // why others did not answer, as far as it was waited for
}

// greet asks all servers at once for a sign of life and returns with the first one that gives it. It only finds the best order
// for a client, which tries its volfile servers in turn: one that refuses connections costs it 3 s, and at one that accepts
// and then says nothing (a glusterd that is stopped, a machine out of memory) it stays for ever (measured: 110 s with a healthy
// second server). Where no server answers in time (or all want TLS), the order is the given one, and the client finds out.
func greet(ctx context.Context, servers []string) greeting {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	type answer struct {
		server string
		err    error
	}
	answers := make(chan answer, len(servers))
	for _, server := range servers {
		go func() { answers <- answer{server, greetOne(ctx, server)} }()
	}
	g := greeting{order: servers, trouble: map[string]string{}}
	for range servers {
		a := <-answers
		if a.err == nil {
			g.order = unique(append([]string{a.server}, servers...))
			break
		}
		g.trouble[a.server] = describeTrouble(a.err)
	}
	return g
}

// String lists the servers and what is wrong with them.
func (g greeting) String() string {
	var described []string
	for _, server := range g.order {
		if trouble := g.trouble[server]; trouble != "" {
			server += " (" + trouble + ")"
		}
		described = append(described, server)
	}
	return strings.Join(described, ", ")
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
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "closed the connection"
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// greetOne makes the first call of any client, which asks for the programs that glusterd serves (GF_DUMP), and waits for the
// start of any answer to it. It is an ONC RPC call (RFC 5531, sections 9 and 11) and needs no authentication.
func greetOne(ctx context.Context, server string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(server, glusterdPort))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	const (
		xid, call, rpcVersion             = 1, 0, 2
		program, programVersion, dumpProc = 123451501, 1, 1 // GLUSTER_DUMP_PROGRAM, rpc/rpc-lib/src/rpc-clnt.c
		lastFragment                      = 1 << 31
	)
	words := []uint32{xid, call, rpcVersion, program, programVersion, dumpProc, 0, 0, 0, 0} // AUTH_NONE twice
	message := binary.BigEndian.AppendUint32(nil, lastFragment|uint32(4*len(words)))
	for _, word := range words {
		message = binary.BigEndian.AppendUint32(message, word)
	}
	if _, err := conn.Write(message); err != nil {
		return err
	}
	var head [12]byte // fragment header, xid, message type
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if got := binary.BigEndian.Uint32(head[4:]); got != xid {
		return fmt.Errorf("answers like no glusterd (%x)", head)
	}
	return nil
}
