// SPDX-License-Identifier: Apache-2.0

package glusterd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
)

// procedure is one that glusterd answers to anybody; the numbers are GlusterFS's, of rpc/rpc-lib/src/protocol-common.h.
type procedure struct{ program, version, number uint32 }

var (
	dump    = procedure{123451501, 1, 1} // GLUSTER_DUMP_PROGRAM, GF_DUMP_DUMP
	getSpec = procedure{14398633, 2, 2}  // GLUSTER_HNDSK_PROGRAM, GF_HNDSK_GETSPEC
	getPort = procedure{34123456, 1, 1}  // GLUSTER_PMAP_PROGRAM, GF_PMAP_PORTBYBRICK
)

const (
	lastFragment = 1 << 31 // of a message, in the header of a fragment (RFC 5531, section 11)
	// maxReply bounds an answer, in bytes. The volfile of a volume of a thousand bricks has one MiB.
	maxReply = 16 << 20
	xid      = 1 // each connection has one call
)

// errStrange says that what listens there does not speak as glusterd does.
var errStrange = errors.New("answers like no glusterd")

// call makes one ONC RPC call of a glusterd without authentication (RFC 5531, section 9) and gives what it sends to read.
func (p Pool) call(ctx context.Context, server string, what procedure, arguments []byte, read func(io.Reader) error) error {
	return callAt(ctx, p.management(), net.JoinHostPort(server, Port), what, arguments, read)
}

// callAt is call of whatever listens at an address. credentials.FaultOf finds in its error what is wrong with TLS, as far as
// that shows in one connection.
func callAt(ctx context.Context, over channel, address string, p procedure, arguments []byte, read func(io.Reader) error) error {
	conn, end, err := over.dial(ctx, address)
	if err != nil {
		return err
	}
	defer end()
	const call, rpcVersion = 0, 2
	words := []uint32{xid, call, rpcVersion, p.program, p.version, p.number, 0, 0, 0, 0} // AUTH_NONE twice
	message := binary.BigEndian.AppendUint32(nil, lastFragment|uint32(4*len(words)+len(arguments)))
	for _, word := range words {
		message = binary.BigEndian.AppendUint32(message, word)
	}
	if _, err := conn.Write(append(message, arguments...)); err != nil {
		return err
	}
	return read(conn)
}

// signOfLife makes the first call of any client, which asks for the programs that glusterd serves, and waits for the
// start of any answer to it.
func (p Pool) signOfLife(ctx context.Context, server string) ([]byte, error) {
	return nil, signOfLifeAt(ctx, p.management(), net.JoinHostPort(server, Port))
}

// signOfLifeAt is signOfLife of whatever listens at an address. credentials.FaultOf finds in its error what is wrong with TLS.
func signOfLifeAt(ctx context.Context, over channel, address string) error {
	err := callAt(ctx, over, address, dump, nil, anyAnswer)
	if err == nil {
		return nil
	}
	if fault := over.faultOf(ctx, address, err); fault != "" {
		return fmt.Errorf("%w: %w", credentials.FaultError{Fault: fault}, err)
	}
	return err
}

// anyAnswer reads the start of an answer.
func anyAnswer(r io.Reader) error {
	var head [12]byte // fragment header, xid, message type
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if got := binary.BigEndian.Uint32(head[4:]); got != xid {
		return fmt.Errorf("%w (%x)", errStrange, head)
	}
	return nil
}

// readResults reads a whole answer and returns what the procedure has said.
func readResults(r io.Reader) ([]byte, error) {
	var reply []byte
	for last := false; !last; {
		var header [4]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return nil, err
		}
		size := binary.BigEndian.Uint32(header[:])
		last = size&lastFragment != 0
		size &^= lastFragment
		if len(reply)+int(size) > maxReply {
			return nil, fmt.Errorf("%w (more than %d bytes)", errStrange, maxReply)
		}
		fragment, err := io.ReadAll(io.LimitReader(r, int64(size)))
		if err == nil && len(fragment) < int(size) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		reply = append(reply, fragment...)
	}
	x := xdr{rest: reply}
	number, kind, accepted := x.word(), x.word(), x.word()
	_, _ = x.word(), x.opaque() // the verifier
	status := x.word()
	const isReply = 1
	if x.short || number != xid || kind != isReply || accepted != 0 || status != 0 {
		return nil, fmt.Errorf("%w (%.40x)", errStrange, reply)
	}
	return x.rest, nil
}

// xdr takes what RFC 4506 describes from the front of rest.
type xdr struct {
	rest  []byte
	short bool // more was asked for than there is
}

func (x *xdr) word() uint32 {
	if len(x.rest) < 4 {
		x.rest, x.short = nil, true
		return 0
	}
	word := binary.BigEndian.Uint32(x.rest)
	x.rest = x.rest[4:]
	return word
}

func (x *xdr) opaque() []byte {
	size := int64(x.word())
	padded := (size + 3) &^ 3
	if padded > int64(len(x.rest)) {
		x.rest, x.short = nil, true
		return nil
	}
	value := x.rest[:size]
	x.rest = x.rest[padded:]
	return value
}

// appendOpaque writes bytes, or a string, with their length.
func appendOpaque(to []byte, value []byte) []byte {
	to = append(binary.BigEndian.AppendUint32(to, uint32(len(value))), value...)
	return append(to, make([]byte, -len(value)&3)...)
}
