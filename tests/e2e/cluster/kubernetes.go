// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// PauseImage is what containerd starts every pod with.
const PauseImage = "localhost/pause:e2e"

const containerdSocket = "/run/containerd/containerd.sock"

//go:embed config
var configFiles embed.FS

// startKubernetes starts what does not run of the node's components, and the control plane where that is here.
func (n *Node) startKubernetes(ctx context.Context) error {
	if err := n.startContainerd(ctx); err != nil {
		return err
	}
	if n == n.cluster.nodes[0] {
		if err := n.cluster.startControlPlane(ctx); err != nil {
			return err
		}
	}
	return n.startKubelet(ctx)
}

func (n *Node) startContainerd(ctx context.Context) error {
	for file, place := range map[string]string{
		"containerd.toml": configs,
		"crictl.yaml":     "/etc",
		"kubelet.yaml":    configs,
		"cni.conflist":    "/etc/cni/net.d",
	} {
		if err := n.configure(file, place); err != nil {
			return err
		}
	}
	return n.containerd().start(ctx)
}

// startKubelet starts what works for the API server, and needs it.
func (n *Node) startKubelet(ctx context.Context) error {
	for _, component := range []*component{n.kubelet(), n.kubeProxy()} {
		if err := component.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// configure writes a configuration file, filled in for the node, into a directory of it.
func (n *Node) configure(file, directory string) error {
	parsed, err := template.ParseFS(configFiles, "config/"+file)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, map[string]string{
		"Name": n.Name, "Pods": n.pods, "ControlGroup": n.controlGroup(), "Certificates": certificates, "Programs": Programs,
		"PauseImage": PauseImage,
	})
	if err != nil {
		return fmt.Errorf("%s for %s: %w", file, n.Name, err)
	}
	path, err := n.machine.path(directory)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(path, file), text.Bytes(), 0o644)
}

func (n *Node) containerd() *component {
	return &component{
		machine: n.machine, program: Programs + "/containerd", args: []string{"--config=" + configs + "/containerd.toml"},
		ready: func(context.Context) error { return n.machine.listens(containerdSocket) },
	}
}

func (n *Node) kubelet() *component {
	return &component{machine: n.machine, program: Programs + "/kubelet", args: []string{
		"--config=" + configs + "/kubelet.yaml",
		"--kubeconfig=" + certificate("kubelet-"+n.Name+".kubeconfig"),
		"--node-ip=" + n.IP,
		"--v=2",
	}, ready: func(ctx context.Context) error { return n.machine.answers(ctx, "http://127.0.0.1:10248/healthz", nil) }}
}

func (n *Node) kubeProxy() *component {
	return &component{machine: n.machine, program: Programs + "/kube-proxy", args: []string{
		"--kubeconfig=" + certificate("kube-proxy.kubeconfig"),
		"--proxy-mode=nftables",
		"--cluster-cidr=" + podNetwork,
		"--oom-score-adj=0",
		// The connection table is this computer's.
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
	}, ready: func(ctx context.Context) error { return n.machine.answers(ctx, "http://127.0.0.1:10249/healthz", nil) }}
}
