// SPDX-License-Identifier: Apache-2.0

package glusterd

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
)

// Trouble asks one server for a sign of life, for two seconds at most, and says why it gives none; "" if it does.
func Trouble(ctx context.Context, server string) string {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := signOfLife(ctx, server); err != nil {
		return describeTrouble(err)
	}
	return ""
}

// NoProcess is BrickTrouble's answer where the brick's server says that no process serves it.
const NoProcess = "no process serves it"

// BrickTrouble asks the server of a brick on which port that is served, as clients do, and there for a sign of life, for two
// seconds each at most. It says what is in the way; "" if nothing is.
func BrickTrouble(ctx context.Context, host, path string) string {
	port, err := brickPort(ctx, host, path)
	if err != nil {
		return "its server says nothing of it: " + describeTrouble(err)
	}
	if port == 0 {
		return NoProcess
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := signOfLifeAt(ctx, net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
		return fmt.Sprintf("port %d: %s", port, describeTrouble(err))
	}
	return ""
}

// brickPort is 0 where no process serves the brick.
func brickPort(ctx context.Context, host, path string) (port int, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = call(ctx, host, getPort, appendOpaque(nil, []byte(path)), func(r io.Reader) error {
		results, err := readResults(r)
		if err != nil {
			return err
		}
		x := xdr{rest: results} // pmap_port_by_brick_rsp
		returned, _, _, number := int32(x.word()), x.word(), x.word(), x.word()
		if x.short {
			return fmt.Errorf("%w (%.40x)", errStrange, results)
		}
		if returned >= 0 {
			port = int(number)
		}
		return nil
	})
	return port, err
}

// SourceAddress is the one from which this host reaches a server: "" where it has none. Nothing is sent.
func SourceAddress(server string) string {
	conn, err := (&net.Dialer{Timeout: timeout}).Dial("udp", net.JoinHostPort(server, Port))
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	address, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	return address
}
