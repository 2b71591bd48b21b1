// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/dump"
)

// defaultDumpSize is that of all texts of a host together, in bytes.
const defaultDumpSize = 16 << 20

func dumpCommand(shared *sharedFlags) *cobra.Command {
	var host dump.Host
	var since time.Duration
	maxSize := size(defaultDumpSize)
	c := &cobra.Command{
		Use:   "dump",
		Short: "Print what this host tells of the driver, for a support bundle",
		Long: `Print, as JSON, what this host tells of the driver: its clients' logs, mounts, metrics,
goroutines. Names of files on volumes are left out. It asks nothing of a Gluster
volume. "kubectl glusterfs dump" runs it in the driver's pods.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if since < 0 || maxSize <= 0 {
				return fmt.Errorf("%w: --since and --max-size must be positive", errUsage)
			}
			if since > 0 {
				host.Since = time.Now().Add(-since)
			}
			host.StateDir, host.MaxSize = shared.stateDir, int64(maxSize)
			encoder := json.NewEncoder(c.OutOrStdout())
			encoder.SetEscapeHTML(false)
			return encoder.Encode(host.Collect(c.Context()))
		},
	}
	c.Flags().DurationVar(&since, "since", 0, "only what clients have logged within this time, as 2h (default all)")
	c.Flags().Var(&maxSize, "max-size", "how much text, at most; of logs the newest")
	c.Flags().BoolVar(&host.WithoutLogs, "without-logs", false, "without the clients' logs")
	c.Flags().StringVar(&host.Process, "process", "", "whose metrics and goroutines: controller, node, mounter or all (default nobody's)")
	c.Flags().StringVar(&host.KubeletDir, "kubelet-dir", "", "root directory of kubelet, as /var/lib/kubelet, for the mounts that it is on")
	return c
}
