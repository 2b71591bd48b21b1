// SPDX-License-Identifier: Apache-2.0

package glusterd

import (
	"context"
	"net"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
)

// Pool is the servers of a cluster, and how they are spoken to. The zero value of TLS is plain text.
type Pool struct {
	Servers []string
	TLS     *gluster.TLS
}

// PoolOf is that of a cluster of the clusters file.
func PoolOf(c gluster.Cluster) Pool { return Pool{Servers: c.Servers, TLS: c.TLS} }

// management is how glusterd is spoken to.
func (p Pool) management() channel { return channel{p.TLS, p.TLS != nil && p.TLS.Management} }

// brick is how a brick is spoken to, whose Gluster volume's clients have this for an option (client.ssl).
func (p Pool) brick(isTLS bool) channel { return channel{p.TLS, isTLS} }

// channel is how one of a cluster's servers is spoken to.
type channel struct {
	credentials *gluster.TLS // nil: there are none
	isTLS       bool
}

// dial connects to an address. Whatever is read or written ends with ctx. credentials.FaultOf finds in its
// error why the two do not come together over TLS.
func (c channel) dial(ctx context.Context, address string) (net.Conn, func(), error) {
	var set *credentials.Set
	if c.isTLS {
		if c.credentials == nil {
			return nil, nil, credentials.FaultError{Fault: credentials.NoneToShow}
		}
		var err error // the files are small, and may have been renewed
		if set, err = credentials.Read(c.credentials.Directory(), c.credentials.SecretName); err != nil {
			return nil, nil, err
		}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	end := func() { stop(); _ = conn.Close() }
	if set == nil {
		return conn, end, nil
	}
	spoken, err := set.Client(ctx, conn)
	if err != nil {
		end()
		return nil, nil, err
	}
	return spoken, end, nil
}

// faultOf is what keeps this host and a server from each other over TLS, where a call has failed with this error: "" if
// nothing does. It may ask the server once more, whether it speaks the other of TLS and plain text.
func (c channel) faultOf(ctx context.Context, address string, err error) credentials.Fault {
	fault := credentials.FaultOf(err)
	switch {
	case fault != "" && fault != credentials.SpeaksPlain:
		return fault
	case c.isTLS && (fault == credentials.SpeaksPlain || hungUp(err)) && callAt(ctx, channel{}, address, dump, nil, anyAnswer) == nil:
		return credentials.SpeaksPlain
	case !c.isTLS && hungUp(err) && speaksTLS(ctx, address):
		return credentials.WantsTLS
	}
	return ""
}

func speaksTLS(ctx context.Context, address string) bool {
	conn, end, err := channel{}.dial(ctx, address)
	if err != nil {
		return false
	}
	defer end()
	return credentials.Speaks(ctx, conn)
}
