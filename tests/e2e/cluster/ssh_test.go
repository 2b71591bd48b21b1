// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestANodeIsReachedBySSHFromTheLANAlone(t *testing.T) {
	c := scratch(t)
	powerOn(t, c)
	file := filepath.Join(t.TempDir(), "key")
	stop, err := c.ServeSSH(file)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, n := range c.nodes {
		fromLAN := func(network, address string) (net.Conn, error) { return c.lan.dial(t.Context(), network, address) }
		client, err := logIn(t, n, file, fromLAN)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close() }()
		for _, command := range []struct {
			line, stdout string
			code         int
		}{
			{"hostname", n.Name + "\n", 0},
			{"cat /proc/self/mountinfo | grep nowhere", "", 1},
			{"systemctl show kubelet --property ActiveState --value", "inactive\n", 0},
			{"sudo systemctl mask kubelet", "", 126},
		} {
			if stdout, code := play(t, client, command.line); stdout != command.stdout || code != command.code {
				t.Errorf("%s on %s printed %q and ended with %d, want %q and %d", command.line, n.Name, stdout, code, command.stdout, command.code)
			}
		}
		// Something else may be reached there, as in a sandbox that answers for every address.
		fromHere := func(network, address string) (net.Conn, error) { return net.DialTimeout(network, address, time.Second) }
		if client, err := logIn(t, n, file, fromHere); err == nil {
			_ = client.Close()
			t.Errorf("%s is reached from this computer's network", n.Name)
		}
	}
}

// logIn logs in to the node over a connection that dial makes.
func logIn(t *testing.T, n *Node, keyFile string, dial func(network, address string) (net.Conn, error)) (*ssh.Client, error) {
	t.Helper()
	text, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort(n.IP, "22")
	conn, err := dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		t.Fatal(err)
	}
	config := &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
	connection, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return ssh.NewClient(connection, channels, requests), conn.SetDeadline(time.Time{})
}

func play(t *testing.T, client *ssh.Client, line string) (stdout string, code int) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	output, err := session.Output(line)
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return string(output), exit.ExitStatus()
	}
	if err != nil {
		t.Errorf("%s: %v", line, err)
	}
	return string(output), 0
}
