// SPDX-License-Identifier: Apache-2.0

// Package cluster is a real Kubernetes on two nodes, pi-worker1 and pi-worker2, on this computer. Each also serves a brick of the
// GlusterFS volume gv0.
//
//	        LAN (bridge 10.77.0.1, no way out)
//	     ┌──────────────┴──────────────┐
//	pi-worker1 10.77.0.11         pi-worker2 10.77.0.12
//	  glusterd, brick of gv0        glusterd, brick of gv0
//	  containerd, kubelet,          containerd, kubelet,
//	  kube-proxy                    kube-proxy
//	  etcd, API server,
//	  controller-manager, scheduler
//
// The nodes and the LAN are machines: namespaces of their own, and a disk. Up makes all of it, Down leaves nothing of it, Find finds
// it, from whichever process. The nodes' operations (Reboot, StopBrick, …) are for one test at a time.
//
// A program that uses this package must do so from its main or test binary: a machine starts as another process of it.
package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

// Volume is the Gluster volume that is there, replicated over all nodes.
const Volume = "gv0"

// Cluster is the one that runs on this computer. There is at most one for each cache directory.
type Cluster struct {
	lan   *machine
	nodes []*Node
}

func plan() *Cluster {
	c := &Cluster{lan: &machine{name: "lan", address: lanAddress}}
	for i, name := range []string{"pi-worker1", "pi-worker2"} {
		n := &Node{Name: name, IP: fmt.Sprintf("10.77.0.%d", 11+i), pods: fmt.Sprintf("10.88.%d.0", i+1) + podPrefix, cluster: c}
		n.machine = &machine{name: name, address: n.IP}
		c.nodes = append(c.nodes, n)
	}
	return c
}

// Find returns the cluster that runs, if all its machines do.
func Find() (*Cluster, error) {
	c := plan()
	if !isComplete() {
		return nil, errors.New("there is no cluster: start one by `make e2e-up`")
	}
	for _, m := range c.machines() {
		if _, err := m.first(); err != nil {
			return nil, fmt.Errorf("the cluster is not complete: %w: start it by `make e2e-up`", err)
		}
	}
	return c, nil
}

// Nodes are pi-worker1, which has the control plane, and pi-worker2.
func (c *Cluster) Nodes() []*Node { return c.nodes }

func (c *Cluster) machines() []*machine {
	all := []*machine{c.lan}
	for _, n := range c.nodes {
		all = append(all, n.machine)
	}
	return all
}

// hosts are the addresses of all machines by name. They are in every machine's /etc/hosts.
func (c *Cluster) hosts() map[string]string {
	hosts := map[string]string{}
	for _, m := range c.machines() {
		hosts[m.name] = m.address
	}
	return hosts
}

// Config is the administrator's way to the API server. It works from outside of the cluster's network: each connection is made
// within. Requests are not throttled. It panics when the cluster's certificates are not there.
func (c *Cluster) Config() *rest.Config {
	config, err := c.config()
	if err != nil {
		panic(err)
	}
	return config
}

func (c *Cluster) config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig())
	if err != nil {
		return nil, err
	}
	config.Dial = c.lan.dial
	config.QPS = -1
	return config, nil
}

func (c *Cluster) tlsConfig() (*tls.Config, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	return rest.TLSConfigFor(config)
}

func kubeconfig() string { return cache.Path("run", "pki", "admin.kubeconfig") }

// Kubectl runs kubectl as administrator, in this computer's file system and the cluster's network, and returns what it printed on
// both outputs, which the error has, too.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	return run(c.KubectlCommand(ctx, args...))
}

// KubectlInput is Kubectl with something to read, as for apply -f -.
func (c *Cluster) KubectlInput(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := c.KubectlCommand(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	return run(cmd)
}

// KubectlCommand is the command that Kubectl runs, for whoever wants its outputs apart.
func (c *Cluster) KubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	return c.Local(ctx, cache.Path("bin", "kubectl"), args...)
}

// Local is a program in this computer's file system and the cluster's network, with the administrator's KUBECONFIG.
func (c *Cluster) Local(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := c.lan.enter(ctx, []string{"--net"}, name, args...)
	cmd.Env = append(cmd.Environ(), "KUBECONFIG="+kubeconfig(), "KUBECACHEDIR="+cache.Path("run", "kubectl"))
	return cmd
}

// Logs writes the last lines of every component's log.
func (c *Cluster) Logs(w io.Writer) {
	for _, n := range c.nodes {
		for _, component := range n.components() {
			fmt.Fprintf(w, "--- %s on %s\n%s\n", component.name(), n.Name, component.lastLines())
		}
	}
}
