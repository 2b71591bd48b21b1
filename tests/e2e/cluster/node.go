// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// rebootTimeout bounds a reboot, on a busy machine.
const rebootTimeout = 5 * time.Minute

// Node is one of the operator's Pis.
type Node struct {
	Name string // also its host name, which its brick has
	IP   string // IPv4

	machine *machine
	pods    string // the network of its pods
	cluster *Cluster
}

// Command is a program on the node: in its mount, network, uts, ipc and pid namespaces, with / as working directory. When ctx ends,
// the program is killed.
func (n *Node) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return n.machine.command(ctx, name, args...)
}

// Path is where this process finds a file of the node, with all that is mounted there, until the node is rebooted.
func (n *Node) Path(file string) (string, error) { return n.machine.path(file) }

// RestartKubelet ends kubelet as an init does, starts it again, and returns when it serves.
func (n *Node) RestartKubelet(ctx context.Context) error {
	kubelet := n.kubelet()
	if err := kubelet.stop(ctx); err != nil {
		return err
	}
	return kubelet.start(ctx)
}

// Reboot pulls the node's plug and puts it in again: everything that runs there is killed, what is mounted and what is in /run is
// gone, and its disk is as it was. It returns when GlusterFS's server with its brick, containerd and kubelet serve again, on the first
// node also the control plane. Containers start later.
func (n *Node) Reboot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rebootTimeout)
	defer cancel()
	if err := n.powerOff(ctx); err != nil {
		return fmt.Errorf("reboot %s: %w", n.Name, err)
	}
	if err := n.boot(ctx); err != nil {
		return fmt.Errorf("reboot %s: %w", n.Name, err)
	}
	return nil
}

// powerOff ends the node, with what of it would not end by itself.
func (n *Node) powerOff(ctx context.Context) error {
	if err := n.machine.stop(ctx); err != nil {
		return err
	}
	if err := removeControlGroups(ctx, n.controlGroup()); err != nil {
		return err
	}
	return n.plugOut(n.cluster.lan)
}

// boot starts whatever of the node does not run, and returns when all of it serves.
func (n *Node) boot(ctx context.Context) error {
	if err := n.powerOn(ctx); err != nil {
		return err
	}
	if err := n.StartServer(ctx); err != nil {
		return err
	}
	return n.startKubernetes(ctx)
}

// powerOn starts the node with a network and nothing else.
func (n *Node) powerOn(ctx context.Context) error {
	if err := n.machine.start(ctx, n.cluster.hosts()); err != nil {
		return err
	}
	if err := makeControlGroups(n.controlGroup()); err != nil {
		return err
	}
	var others []*Node
	for _, other := range n.cluster.nodes {
		if other != n {
			others = append(others, other)
		}
	}
	return n.plugIn(n.cluster.lan, others)
}

// components are what runs on the node for Kubernetes.
func (n *Node) components() []*component {
	all := []*component{n.containerd(), n.kubelet(), n.kubeProxy()}
	if c := n.cluster; n == c.nodes[0] {
		all = append(all, c.etcd(), c.apiServer(), c.controllerManager(), c.scheduler())
	}
	return append(all, n.glusterd())
}
