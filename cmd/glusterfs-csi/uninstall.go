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

// claimsNamed is how many claims a refusal names.
const claimsNamed = 10

// uninstallCheckCommand is what the chart's hook runs before `helm uninstall`.
func uninstallCheckCommand() *cobra.Command {
	var account, name string
	c := &cobra.Command{
		Use: "uninstall-check", Short: "Fail while claims of this cluster are bound to volumes of the driver", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := kubeapi.New(account)
			if err != nil {
				return err
			}
			return uninstallCheck(c.Context(), api, name)
		},
	}
	c.Flags().StringVar(&account, "service-account", "/var/run/secrets/kubernetes.io/serviceaccount", "directory of the service account by which to list PersistentVolumes")
	c.Flags().StringVar(&name, "driver-name", driver.DefaultName, "the driver's name in CSI")
	return c
}

func uninstallCheck(ctx context.Context, api *kubeapi.Client, name string) error {
	claims, err := api.Claims(ctx, name, "", "", claimsNamed+1)
	if err != nil {
		return fmt.Errorf("list PersistentVolumes: %w", err)
	}
	if len(claims) == 0 {
		return nil
	}
	var named []string
	for _, c := range claims[:min(len(claims), claimsNamed)] {
		named = append(named, c.Namespace+"/"+c.Name)
	}
	if len(claims) > claimsNamed {
		named = append(named, "and more")
	}
	return fmt.Errorf("claims are bound to volumes of %s, and without it no pod that has them can start or end: delete them first, or uninstall with --no-hooks: %s", name, strings.Join(named, ", "))
}
