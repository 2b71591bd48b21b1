// SPDX-License-Identifier: Apache-2.0

// Package rootsocket listens on unix sockets that only root can connect to.
package rootsocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// Listen listens on a unix socket that only root can connect to, for callers that errors are to name. The socket of a
// process that was killed is replaced; one that another process serves is an error.
func Listen(ctx context.Context, path, callers string) (net.Listener, error) {
	if err := replaceable(path); err != nil {
		return nil, fmt.Errorf("listen for %s: %w", callers, err)
	}
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var modeErr error
		// The file that bind(2) makes has the descriptor's mode, less the umask (Linux, unix_bind_bsd): there is no
		// moment before.
		err := conn.Control(func(fd uintptr) { modeErr = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, modeErr)
	}}
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", callers, err)
	}
	unixListener, ok := listener.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("listen for %s: not a unix socket: %T", callers, listener),
			listener.Close())
	}
	return &Listener{UnixListener: unixListener, logger: klog.FromContext(ctx)}, nil
}

// Serve serves until ctx is done, and then until what is under way has ended, which has some time left. Its error is not that it was ended.
func Serve(ctx context.Context, server *http.Server, listener net.Listener, left time.Duration) error {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), left)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(listener)
	if !stop() {
		<-ended
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	}
	return nil
}

// replaceable makes the directory of a socket, and removes the socket if nobody serves it.
func replaceable(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // what is in it is not for others, see Listen
		return err
	}
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	if conn, err := net.Dial("unix", path); err == nil { //nolint:noctx // a unix socket answers at once
		_ = conn.Close()
		return fmt.Errorf("another process serves %s: there is one of its mode for a state directory", path)
	}
	return os.Remove(path)
}

// Listener hangs up on callers that are not root, should one get hold of the socket.
type Listener struct {
	*net.UnixListener

	logger klog.Logger
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		peer, err := credentials(conn)
		if err == nil && peer.Uid == 0 {
			return conn, nil
		}
		l.logger.Error(err, "Hung up on a caller that is not root", "peer", peer)
		_ = conn.Close()
	}
}

// credentials are those that the peer had when it connected.
func credentials(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	var optErr error
	err = raw.Control(func(fd uintptr) { peer, optErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return peer, errors.Join(err, optErr)
}
