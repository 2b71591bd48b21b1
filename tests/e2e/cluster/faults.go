// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// StopServer kills the node's GlusterFS server: glusterd with its brick. Its ports refuse connections then. The clients on the node
// go on.
func (n *Node) StopServer() error { return n.killDaemons(n.serverProcesses) }

// StartServer starts the node's GlusterFS server, unless it runs, and returns when its brick serves, if it has one yet.
func (n *Node) StartServer(ctx context.Context) error {
	if err := n.glusterd().start(ctx); err != nil {
		return err
	}
	info, err := n.gluster(ctx, "volume", "list")
	if err != nil {
		return err
	}
	if info != Volume+"\n" {
		return nil
	}
	return n.awaitBrick(ctx)
}

// StopBrick kills the node's brick of gv0.
func (n *Node) StopBrick() error { return n.killDaemons(n.brickProcesses) }

// StartBrick starts the node's brick again, and returns when it serves. The server must run.
func (n *Node) StartBrick(ctx context.Context) error {
	if _, err := n.gluster(ctx, "volume", "start", Volume, "force"); err != nil {
		return err
	}
	return n.awaitBrick(ctx)
}

// FreezeServer lets the node's GlusterFS server stop as a hanging machine does: it keeps its connections, and answers nothing.
func (n *Node) FreezeServer() error {
	return n.signalServer(syscall.SIGSTOP, func(p process) bool { return p.state == 'T' })
}

// ThawServer undoes FreezeServer.
func (n *Node) ThawServer() error {
	return n.signalServer(syscall.SIGCONT, func(p process) bool { return p.state != 'T' })
}

func (n *Node) signalServer(signal syscall.Signal, done func(process) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return poll(ctx, fmt.Sprintf("%v on %s", signal, n.Name), func() error {
		found, err := n.serverProcesses()
		if err != nil {
			return err
		}
		for _, p := range found {
			if !done(p) {
				err = errors.Join(err, p.signal(signal), fmt.Errorf("not yet: %v", p))
			}
		}
		return err
	})
}

// killDaemons kills daemons that are to be started again. Their pid files go, too: glusterd takes one whose process has ended, but
// has not been reaped, for a running daemon's.
func (n *Node) killDaemons(find func() ([]process, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	daemons, err := find()
	if err != nil {
		return err
	}
	if err := endAll(ctx, find); err != nil {
		return err
	}
	for _, p := range daemons {
		if file := p.option("-p"); file != "" {
			path, err := n.machine.path(file)
			if err != nil {
				return err
			}
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// LoseObjects pulls the plug of all nodes, empties the store of the API server, and starts everything again, but what was in the
// store: certificates, disks and gv0 are as they were. It returns when the nodes are ready in the new Kubernetes cluster.
func (c *Cluster) LoseObjects(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*rebootTimeout)
	defer cancel()
	if err := c.onNodes(ctx, func(ctx context.Context, n *Node) error { return n.powerOff(ctx) }); err != nil {
		return err
	}
	if err := c.startMachines(ctx); err != nil {
		return err
	}
	store, err := c.nodes[0].Path("/var/lib/etcd")
	if err == nil {
		err = os.RemoveAll(store)
	}
	if err != nil {
		return err
	}
	if err := c.startServers(ctx); err != nil {
		return err
	}
	return c.startKubernetes(ctx)
}
