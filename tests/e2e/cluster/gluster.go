// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	glusterdSocket = "/run/glusterd.socket"
	glusterdPort   = "24007"
	brickPath      = "/data/brick1/" + Volume
	// glusterTimeout bounds a gluster command with its repetitions. One that has to reach a stopped server waits for it.
	glusterTimeout = time.Minute
)

// unsettled are what glusterd 10.3 answers for a moment after a start, a probe or another command.
var unsettled = []string{"Another transaction is in progress", "Locking failed", "Peer in Cluster", "not in cluster", "not connected"}

func (n *Node) glusterd() *component {
	return &component{
		machine: n.machine, program: "/usr/sbin/glusterd", args: []string{"--no-daemon", "--pid-file=/run/glusterd.pid"},
		ready: func(ctx context.Context) error {
			return errors.Join(n.machine.listens(glusterdSocket), n.machine.accepts(ctx, net.JoinHostPort(n.IP, glusterdPort)))
		},
	}
}

// Gluster runs the gluster command on a server, and returns what it printed. Questions are answered with yes.
func (c *Cluster) Gluster(ctx context.Context, args ...string) (string, error) {
	return c.nodes[0].gluster(ctx, args...)
}

// gluster runs the gluster command on the node, answers its questions with yes, and repeats it while the servers are settling.
func (n *Node) gluster(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, glusterTimeout)
	defer cancel()
	var output string
	var final error
	err := poll(ctx, "GlusterFS to settle", func() error {
		var err error
		output, err = run(n.Command(ctx, "gluster", append([]string{"--mode=script"}, args...)...))
		if err != nil && slices.ContainsFunc(unsettled, func(text string) bool { return strings.Contains(err.Error(), text) }) {
			return err
		}
		final = err
		return nil
	})
	return output, errors.Join(err, final)
}

// makeVolume makes the nodes peers, and gv0 of a brick on each, unless that has been done. It returns when all bricks serve.
func (c *Cluster) makeVolume(ctx context.Context) error {
	first, others := c.nodes[0], c.nodes[1:]
	if info, err := first.gluster(ctx, "volume", "info", Volume); err == nil && strings.Contains(info, "\nStatus: Started\n") {
		return c.awaitBricks(ctx)
	}
	for _, n := range c.nodes {
		if err := os.MkdirAll(filepath.Join(n.machine.disk(), filepath.Dir(brickPath)), 0o755); err != nil {
			return err
		}
	}
	create := []string{"volume", "create", Volume, "replica", fmt.Sprint(len(c.nodes)), first.brick()}
	for _, other := range others {
		if _, err := first.gluster(ctx, "peer", "probe", other.Name); err != nil {
			return err
		}
		// The other knows the first by its address now, and by its name after this.
		if _, err := other.gluster(ctx, "peer", "probe", first.Name); err != nil {
			return err
		}
		create = append(create, other.brick())
	}
	// force: the brick is on the same file system as the system, as on many a Pi.
	if _, err := first.gluster(ctx, append(create, "force")...); err != nil {
		return err
	}
	if _, err := first.gluster(ctx, "volume", "start", Volume); err != nil {
		return err
	}
	return c.awaitBricks(ctx)
}

func (n *Node) brick() string { return n.Name + ":" + brickPath }

func (c *Cluster) awaitBricks(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := n.awaitBrick(ctx); err != nil {
			return err
		}
	}
	return nil
}

// awaitBrick returns when the node's brick accepts connections.
func (n *Node) awaitBrick(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, glusterTimeout)
	defer cancel()
	return poll(ctx, "the brick on "+n.Name, func() error {
		running, err := n.brickProcesses()
		if err != nil {
			return err
		}
		if len(running) == 0 {
			return errors.New("there is no process")
		}
		return n.machine.accepts(ctx, net.JoinHostPort(n.IP, running[0].option("--brick-port")))
	})
}

func (n *Node) brickProcesses() ([]process, error) {
	return n.machine.processes(func(p process) bool { return filepath.Base(p.args[0]) == "glusterfsd" })
}

// serverProcesses are glusterd and what it starts: the brick, and the daemon that heals. A client is none of them.
func (n *Node) serverProcesses() ([]process, error) {
	return n.machine.processes(func(p process) bool {
		switch filepath.Base(p.args[0]) {
		case "glusterd", "glusterfsd":
			return true
		}
		return p.option("--process-name") == "glustershd"
	})
}
