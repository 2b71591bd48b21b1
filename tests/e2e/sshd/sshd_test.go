// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
)

// start is a server, where it is to serve, and what lets into it.
func start(t *testing.T) (*Server, net.Listener, ssh.Signer) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	s, err := New(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return s, listener, key
}

func dial(address string, key ssh.Signer) (*ssh.Client, error) {
	return ssh.Dial("tcp", address, &ssh.ClientConfig{
		User: "anybody", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
}

func TestACommandIsRunWithItsOutputsAndItsExitCode(t *testing.T) {
	s, listener, key := start(t)
	s.Serve(listener, func(_ context.Context, line string, stdout, stderr io.Writer) int {
		fmt.Fprint(stdout, "out of "+line)
		fmt.Fprint(stderr, "error of "+line)
		return 3
	})
	client, err := dial(listener.Addr().String(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	for _, line := range []string{"a | b", "again, by the same connection"} {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		session.Stdout, session.Stderr = &stdout, &stderr
		var exit *ssh.ExitError
		if err := session.Run(line); !errors.As(err, &exit) || exit.ExitStatus() != 3 {
			t.Errorf("%q: %v", line, err)
		}
		if stdout.String() != "out of "+line || stderr.String() != "error of "+line {
			t.Errorf("%q printed %q and %q", line, &stdout, &stderr)
		}
	}
}

func TestAnotherKeyIsRefused(t *testing.T) {
	s, listener, _ := start(t)
	s.Serve(listener, func(context.Context, string, io.Writer, io.Writer) int {
		t.Error("a command was run")
		return 0
	})
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if client, err := dial(listener.Addr().String(), key); err == nil {
		_ = client.Close()
		t.Error("it was let in")
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	s, listener, key := start(t)
	started, ended := make(chan struct{}), false
	s.Serve(listener, func(ctx context.Context, _ string, _, _ io.Writer) int {
		close(started)
		<-ctx.Done()
		ended = true
		return 0
	})
	client, err := dial(listener.Addr().String(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("sleep"); err != nil {
		t.Fatal(err)
	}
	<-started
	s.Close()
	if !ended {
		t.Error("what it has run goes on")
	}
	if client, err := dial(listener.Addr().String(), key); err == nil {
		_ = client.Close()
		t.Error("it serves after it was closed")
	}
}
