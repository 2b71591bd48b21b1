// SPDX-License-Identifier: Apache-2.0

package glusterd

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// Trouble asks one server for a sign of life, for two seconds at most, and says why it gives none; "" if it does. fault is
// what is wrong, if that is with TLS.
func (p Pool) Trouble(ctx context.Context, server string) (trouble string, fault credentials.Fault) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := p.signOfLife(ctx, server); err != nil {
		return describeTrouble(err), credentials.FaultOf(err)
	}
	return "", ""
}

// NoProcess is BrickTrouble's answer where the brick's server says that no process serves it.
const NoProcess = "no process serves it"

// Brick is one as its Gluster volume's clients know it.
type Brick struct {
	Host, Path string
	IsTLS      bool // clients are to speak TLS with it (client.ssl)
}

// String is what `gluster volume info` calls it.
func (b Brick) String() string { return b.Host + ":" + b.Path }

// Bricks are those of a client's volfile.
func (v Volfile) Bricks() []Brick {
	var all []Brick
	for _, t := range v {
		if t.Type == "protocol/client" {
			all = append(all, Brick{t.Options["remote-host"], t.Options["remote-subvolume"], t.IsOn("transport.socket.ssl-enabled")})
		}
	}
	return all
}

// BrickTrouble asks the server of a brick on which port that is served, as clients do, and there for a sign of life, for two
// seconds each at most. It says what is in the way; "" if nothing is. fault is what is wrong, if that is with TLS.
func (p Pool) BrickTrouble(ctx context.Context, b Brick) (trouble string, fault credentials.Fault) {
	port, err := p.brickPort(ctx, b)
	if err != nil {
		return "its server says nothing of it: " + describeTrouble(err), ""
	}
	if port == 0 {
		return NoProcess, ""
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := signOfLifeAt(ctx, p.brick(b.IsTLS), net.JoinHostPort(b.Host, strconv.Itoa(port))); err != nil {
		return fmt.Sprintf("port %d: %s", port, describeTrouble(err)), credentials.FaultOf(err)
	}
	return "", ""
}

// BrickFault asks all bricks of a Gluster volume at once, for six seconds at most, and returns what keeps this host and the
// first of them from each other over TLS: "" if nothing does.
func (p Pool) BrickFault(ctx context.Context, volumeName string) (Brick, credentials.Fault) {
	volfile, err := p.GetVolfile(ctx, volumeName)
	if err != nil {
		return Brick{}, ""
	}
	bricks := volfile.Bricks()
	faults := make([]credentials.Fault, len(bricks))
	var all panics.Group
	for i, b := range bricks {
		all.Go(func() { _, faults[i] = p.BrickTrouble(ctx, b) })
	}
	all.Wait()
	for i, fault := range faults {
		if fault != "" {
			return bricks[i], fault
		}
	}
	return Brick{}, ""
}

// brickPort is 0 where no process serves the brick.
func (p Pool) brickPort(ctx context.Context, b Brick) (port int, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = p.call(ctx, b.Host, getPort, appendOpaque(nil, []byte(b.Path)), func(r io.Reader) error {
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

// SourceAddress is the one from which this host reaches a server: "" where it has none, or the server's name is not known within two seconds.
// Nothing is sent to it.
func SourceAddress(ctx context.Context, server string) string {
	conn, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "udp", net.JoinHostPort(server, Port))
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	address, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	return address
}
