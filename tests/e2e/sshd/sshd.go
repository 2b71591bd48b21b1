// SPDX-License-Identifier: Apache-2.0

// Package sshd is as much of an SSH server as a program needs that runs commands on a machine by SSH: one key, and for each session
// one command without input. It knows nothing of users and terminals.
package sshd

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Run runs a command line, and returns its exit code. When ctx ends, nobody waits for it any more.
type Run func(ctx context.Context, line string, stdout, stderr io.Writer) (code int)

// Server is one that serves, on one listener for each machine.
type Server struct {
	config *ssh.ServerConfig
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu    sync.Mutex
	open  []io.Closer
	ended sync.WaitGroup
}

// New makes a server that lets in whoever has the private key, which it makes and writes to a new file for its owner alone. The server
// gives each machine the same host key, of which nobody but this process ever knows.
func New(keyFile string) (*Server, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	allowed, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	_, host, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(host)
	if err != nil {
		return nil, err
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(allowed.Marshal()) {
			return nil, errors.New("another key")
		}
		return &ssh.Permissions{}, nil
	}}
	config.AddHostKey(signer)
	s := &Server{config: config}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Serve answers at a listener, which is the server's from now on. It returns at once.
func (s *Server) Serve(listener net.Listener, run Run) {
	s.keep(listener)
	s.ended.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			s.ended.Go(func() { s.connection(conn, run) })
		}
	})
}

// Close ends all connections, and returns when what they have run has ended.
func (s *Server) Close() {
	s.cancel()
	s.mu.Lock()
	for _, c := range s.open {
		_ = c.Close() // a connection may be closed already
	}
	s.mu.Unlock()
	s.ended.Wait()
}

// keep has Close close it. What comes after Close is closed at once.
func (s *Server) keep(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, c)
	if s.ctx.Err() != nil {
		_ = c.Close()
	}
}

func (s *Server) connection(conn net.Conn, run Run) {
	s.keep(conn)
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		_ = conn.Close()
		return // the other side knows why
	}
	go ssh.DiscardRequests(requests) // ends with the connection
	for offered := range channels {
		if kind := offered.ChannelType(); kind != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, kind+" is not served")
			continue
		}
		if channel, requests, err := offered.Accept(); err == nil {
			s.ended.Go(func() { s.session(channel, requests, run) })
		}
	}
}

// session runs the first command that is asked for. Whatever else is asked for is refused.
func (s *Server) session(channel ssh.Channel, requests <-chan *ssh.Request, run Run) {
	defer func() { _ = channel.Close() }()
	for request := range requests {
		var exec struct{ Line string }
		if request.Type != "exec" || ssh.Unmarshal(request.Payload, &exec) != nil {
			_ = request.Reply(false, nil)
			continue
		}
		go ssh.DiscardRequests(requests) // ends with the channel
		_ = request.Reply(true, nil)
		code := run(s.ctx, exec.Line, channel, channel.Stderr())
		status := ssh.Marshal(struct{ Code uint32 }{uint32(code)})
		if _, err := channel.SendRequest("exit-status", false, status); err != nil {
			fmt.Fprintln(os.Stderr, "sshd: nobody waits for the end of:", exec.Line)
		}
		return
	}
}
