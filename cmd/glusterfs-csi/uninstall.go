// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/driver"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
)

// named is how many objects a refusal names.
const named = 10

// uninstallCheckCommand is what the chart's hook runs before `helm uninstall`.
func uninstallCheckCommand() *cobra.Command {
	var account, name string
	var snapshots bool
	c := &cobra.Command{
		Use: "uninstall-check", Short: "Fail while this cluster has what nobody but the driver can delete", Args: noArguments,
		Hidden: true, // from people, who run `helm uninstall`
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := kubeapi.New(account)
			if err != nil {
				return err
			}
			return uninstallCheck(c.Context(), api, name, snapshots)
		},
	}
	c.Flags().StringVar(&account, "service-account", "/var/run/secrets/kubernetes.io/serviceaccount", "directory of the service account by which to list PersistentVolumes")
	c.Flags().BoolVar(&snapshots, "snapshots", false, "list VolumeSnapshotContents, too: the account may")
	c.Flags().StringVar(&name, "driver-name", driver.DefaultName, "the driver's name in CSI")
	return c
}

func uninstallCheck(ctx context.Context, api *kubeapi.Client, name string, snapshots bool) error {
	needs, err := api.NeedDriver(ctx, name, snapshots, named+1)
	if err != nil {
		return fmt.Errorf("list what needs %s: %w", name, err)
	}
	if len(needs) == 0 {
		return nil
	}
	if len(needs) > named {
		needs[named] = "and more"
	}
	return fmt.Errorf("first delete the pods, VolumeSnapshots and claims that use %s, or uninstall with --no-hooks: nobody else unmounts or deletes %s. "+
		"To keep the driver: helm history, and helm rollback with the revision that says uninstalling; until then Helm takes no upgrade", name, strings.Join(needs, ", "))
}
