// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"net"

	"golang.org/x/sync/errgroup"
)

const (
	apiServerPort  = "6443"
	serviceNetwork = "10.96.0.0/16"
	serviceAddress = "10.96.0.1" // of the API server, for pods
	etcdClients    = "http://127.0.0.1:2379"
	etcdPeers      = "http://127.0.0.1:2380"
	// featureGates are what the driver has an answer for and Kubernetes 1.37 does not ask unless told to.
	featureGates = "CSIVolumeHealth=true"
)

func certificate(file string) string { return certificates + "/" + file }

// startControlPlane starts the components of Kubernetes that there is one of. It returns when the API server is ready.
func (c *Cluster) startControlPlane(ctx context.Context) error {
	for _, component := range []*component{c.etcd(), c.apiServer()} {
		if err := component.start(ctx); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, component := range []*component{c.controllerManager(), c.scheduler()} {
		group.Go(func() error { return component.start(ctx) })
	}
	return group.Wait()
}

func (c *Cluster) etcd() *component {
	m := c.nodes[0].machine
	return &component{machine: m, program: Programs + "/etcd", args: []string{
		"--name=" + m.name, "--data-dir=/var/lib/etcd",
		"--listen-client-urls=" + etcdClients, "--advertise-client-urls=" + etcdClients,
		"--listen-peer-urls=" + etcdPeers, "--initial-advertise-peer-urls=" + etcdPeers, "--initial-cluster=" + m.name + "=" + etcdPeers,
		"--unsafe-no-fsync", // the disk is as safe as this computer's memory
	}, ready: func(ctx context.Context) error { return m.answers(ctx, etcdClients+"/readyz", nil) }}
}

func (c *Cluster) apiServer() *component {
	n := c.nodes[0]
	return &component{machine: n.machine, program: Programs + "/kube-apiserver", args: []string{
		"--advertise-address=" + n.IP, "--secure-port=" + apiServerPort,
		"--etcd-servers=" + etcdClients,
		"--service-cluster-ip-range=" + serviceNetwork,
		"--allow-privileged=true",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--feature-gates=" + featureGates,
		"--client-ca-file=" + certificate("ca.crt"),
		"--tls-cert-file=" + certificate("apiserver.crt"), "--tls-private-key-file=" + certificate("apiserver.key"),
		"--kubelet-certificate-authority=" + certificate("ca.crt"),
		"--kubelet-client-certificate=" + certificate("apiserver-kubelet.crt"),
		"--kubelet-client-key=" + certificate("apiserver-kubelet.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + certificate("service-accounts.pub"),
		"--service-account-signing-key-file=" + certificate("service-accounts.key"),
	}, ready: func(ctx context.Context) error {
		config, err := c.tlsConfig()
		if err != nil {
			return err
		}
		return c.lan.answers(ctx, "https://"+net.JoinHostPort(n.IP, apiServerPort)+"/readyz", config)
	}}
}

func (c *Cluster) controllerManager() *component {
	m := c.nodes[0].machine
	return &component{machine: m, program: Programs + "/kube-controller-manager", args: []string{
		"--kubeconfig=" + certificate("controller-manager.kubeconfig"),
		"--leader-elect=false",
		"--kube-api-qps=200", "--kube-api-burst=400", // with 20 and 30, the defaults, four claims were bound a second, and the driver stood idle
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + certificate("service-accounts.key"),
		"--root-ca-file=" + certificate("ca.crt"),
	}, ready: func(ctx context.Context) error { return m.accepts(ctx, "127.0.0.1:10257") }}
}

func (c *Cluster) scheduler() *component {
	m := c.nodes[0].machine
	return &component{machine: m, program: Programs + "/kube-scheduler", args: []string{
		"--kubeconfig=" + certificate("scheduler.kubeconfig"),
		"--leader-elect=false",
	}, ready: func(ctx context.Context) error { return m.accepts(ctx, "127.0.0.1:10259") }}
}
