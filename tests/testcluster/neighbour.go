// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
)

// Neighbour is an address in the cluster's own network that none of its servers has: it refuses connections. host is
// the last number of it, from 200 on.
func (c *Cluster) Neighbour(host int) string {
	first := c.Servers()[0]
	return fmt.Sprintf("%s.%d", first[:strings.LastIndex(first, ".")], host)
}

// SilentServer accepts connections at a neighbour's address until the test ends and never answers, as a glusterd that
// is stopped.
func SilentServer(t testing.TB, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(glusterdPort)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }() // at the end
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return address
}
