// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/sshd"
)

// ServeSSH lets whoever has the key that is written to keyFile run commands on the nodes by SSH: from the cluster's network alone, as
// root, and until stop is called. The nodes have no systemd: systemctl show, start and stop are answered for their kubelet.
func (c *Cluster) ServeSSH(keyFile string) (stop func(), err error) {
	server, err := sshd.New(keyFile)
	if err != nil {
		return nil, err
	}
	for _, n := range c.nodes {
		listener, err := n.machine.listen(net.JoinHostPort(n.IP, "22"))
		if err != nil {
			server.Close()
			return nil, err
		}
		server.Serve(listener, n.shell)
	}
	return server.Close, nil
}

// shell runs a command line on the node. What cannot be run says so on stderr, with the code of a shell.
func (n *Node) shell(ctx context.Context, line string, stdout, stderr io.Writer) (code int) {
	const cannotRun = 126
	words := strings.Fields(strings.TrimPrefix(line, "sudo "))
	var err error
	if len(words) >= 3 && words[0] == "systemctl" && words[2] == "kubelet" {
		err = n.systemctl(ctx, words[1], stdout)
	} else {
		cmd := n.Command(ctx, "sh", "-c", line)
		cmd.Stdout, cmd.Stderr = stdout, stderr
		err = cmd.Run()
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(stderr, err)
		return cannotRun
	}
	return 0
}

// systemctl does to kubelet what the verb says. What show says of it is the value of ActiveState.
func (n *Node) systemctl(ctx context.Context, verb string, stdout io.Writer) error {
	kubelet := n.kubelet()
	switch verb {
	case "start":
		return kubelet.start(ctx)
	case "stop":
		return kubelet.stop(ctx)
	case "show":
		running, err := kubelet.processes()
		state := "inactive"
		if len(running) > 0 {
			state = "active"
		}
		fmt.Fprintln(stdout, state)
		return err
	}
	return fmt.Errorf("systemctl %s: only show, start and stop", verb)
}
