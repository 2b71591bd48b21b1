// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/driver"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/holders"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

func serveCommands(shared *sharedFlags) []*cobra.Command {
	return []*cobra.Command{
		serveCommand(shared, driver.Controller, "Serve CSI's controller: make and delete volumes"),
		serveCommand(shared, driver.Node, "Serve CSI's node: mount volumes on this host"),
		serveCommand(shared, driver.All, "Serve both in one process"),
		serveCommand(shared, driver.Mounter, "Own the GlusterFS clients of this host, for its node plugin"),
	}
}

func serveCommand(shared *sharedFlags, mode driver.Mode, short string) *cobra.Command {
	options := driver.Options{Mode: mode, Version: version}
	c := &cobra.Command{
		Use:   string(mode),
		Short: short,
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			options.ClustersFile, options.StateDir = shared.clusters, shared.stateDir
			if err := options.Validate(); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			d, err := driver.New(c.Context(), options)
			if err != nil {
				return err
			}
			return d.Run(c.Context())
		},
	}
	flags := c.Flags()
	flags.StringVar(&options.HTTPEndpoint, "http-endpoint", "", "where to serve /healthz, /readyz and /metrics, as 127.0.0.1:29708 (default nowhere)")
	if mode != driver.Controller {
		flags.DurationVar(&options.RestartAfter, "restart-after", holders.DefaultRestartAfter,
			"how long after a repair a container that keeps files of a dead client open is restarted, where its class says onClientDeath: restart")
	}
	if mode == driver.Mounter {
		flags.StringVar(&options.Endpoint, "endpoint", "unix:///var/lib/glusterfs-csi/mounter.sock", "where to serve the node plugin, root only: unix:///path")
		flags.Var((*size)(&options.ClientMemory.Max), "client-memory-max", "memory at which the kernel ends a client, and no other, as 512Mi (default no limit)")
		flags.Var((*size)(&options.ClientMemory.High), "client-memory-high", "memory from which on a client is slowed down, with cgroup v2 (default no limit)")
		return c
	}
	if mode == driver.Node {
		c.AddCommand(holdersCommand(shared))
	}
	flags.StringVar(&options.Endpoint, "endpoint", "unix:///run/glusterfs-csi/csi.sock", "where to serve CSI: unix:///path or tcp://address:port")
	flags.IntVar(&options.MaxOperations, "max-operations", permits.Default, "how many operations wait on GlusterFS at once; others queue by deadline")
	flags.StringVar(&options.Name, "driver-name", driver.DefaultName, "the driver's name in CSI")
	if mode != driver.Controller {
		flags.StringVar(&options.NodeID, "node-id", "", "this node's name in Kubernetes")
		flags.StringVar(&options.KubeletDir, "kubelet-dir", "", "root directory of kubelet, to register there, as /var/lib/kubelet (default nowhere)")
	}
	if mode == driver.Node {
		flags.StringVar(&options.Mounter, "mounter", "", "the mounter that owns this host's clients, as unix:///var/lib/glusterfs-csi/mounter.sock (default this process)")
	}
	if mode == driver.Controller || mode == driver.All {
		flags.DurationVar(&options.TrashRetention, "trash-retention", manager.DefaultRetention, "how long a deleted volume can be restored")
		flags.StringVar(&options.Events, "events", "", "directory of the service account by which to write events, as /var/run/secrets/kubernetes.io/serviceaccount (default none)")
		flags.StringVar(&options.KubernetesID, "kubernetes-id", "", "the Kubernetes cluster that volumes made here belong to, as production (default none, or --kubernetes-id-from)")
		flags.StringVar(&options.KubernetesIDFrom, "kubernetes-id-from", "", "directory of the service account by which to ask for the UID of the namespace kube-system, which is the ID then")
		flags.StringVar(&options.ClaimsFrom, "claims-from", "", "directory of the service account by which to ask for a claim's class and labels, which are recorded with its volume (default they are not)")
		flags.StringVar(&options.StartupTaint, "startup-taint", "", "directory of the service account by which to take the taint agent-not-ready off nodes that can mount volumes (default it stays)")
		options.QuotaHeadroom = quota.DefaultHeadroom
		flags.IntVar(&options.MaxCopies, "max-copies", manager.DefaultMaxCopies, "how many snapshots and clones are copied at once; others wait for their turn")
		flags.IntVar(&options.MaxCopiesVolume, "max-copies-per-volume", manager.DefaultMaxCopiesVolume, "how many of them to one Gluster volume")
		flags.Var((*size)(&options.QuotaHeadroom), "quota-headroom", "how much of the end of a limited volume ends exactly, at the price of slower writes")
	}
	return c
}

// size is a flag of bytes, a pflag.Value.
type size int64

func (s *size) String() string { return bytesIEC(int64(*s)) }
func (s *size) Type() string   { return "size" }

func (s *size) Set(text string) error {
	bytes, err := gluster.ParseBytes(text)
	*s = size(bytes)
	return err
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: `%s` takes no argument, got %q", errUsage, c.CommandPath(), args[0])
	}
	return nil
}
