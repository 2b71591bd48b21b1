// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

func volumeTakeOver(shared *sharedFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "take-over KUBERNETES",
		Short: "Make what a Kubernetes cluster had that is gone for good this one's",
		Long: fmt.Sprintf(`Make what a Kubernetes cluster had that is gone for good this one's: its volumes and what
it has deleted. It looks for %s first whether a controller of that cluster still renews its
lease on the Gluster volumes, and refuses if so. Repeated, it goes on where it was.`, store.LeaseLasts),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: `%s` takes one KUBERNETES, the ID as `glusterfs-csi volume list` shows it", errUsage, c.CommandPath())
			}
			if err := volume.CheckKubernetes(args[0]); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, volumes []gluster.Volume) error {
				if err := mayTakeOver(ctx, m, volumes, args[0]); err != nil {
					return err
				}
				all, err := fromEach(ctx, volumes, func(ctx context.Context, v gluster.Volume) ([]manager.TakenOver, error) {
					done, err := m.TakeOver(ctx, v, args[0])
					return []manager.TakenOver{done}, err
				})
				var sum manager.TakenOver
				for _, done := range all {
					sum.Volumes, sum.Trash = sum.Volumes+done.Volumes, sum.Trash+done.Trash
				}
				fmt.Fprintf(c.OutOrStdout(), "Taken over from Kubernetes cluster %s: %d volumes and %d deleted ones.\n", args[0], sum.Volumes, sum.Trash)
				return err
			})
		},
	}
}

// mayTakeOver returns nil if no controller of a Kubernetes cluster has renewed its lease on any Gluster volume for a while, and on
// one at least there is such a lease.
func mayTakeOver(ctx context.Context, m *manager.Manager, volumes []gluster.Volume, kubernetes string) error {
	switch own, err := m.Kubernetes(ctx); {
	case err != nil:
		return err
	case own == "":
		return errors.New("it is not known which Kubernetes cluster this is: no controller on this host has said it")
	case own == kubernetes:
		return fmt.Errorf("%w: this is Kubernetes cluster %s itself", errUsage, kubernetes)
	}
	leased, err := fromEach(ctx, volumes, func(ctx context.Context, v gluster.Volume) ([]bool, error) {
		isThere, err := m.Watch(ctx, v, kubernetes)
		return []bool{isThere}, err
	})
	switch {
	case errors.Is(err, manager.ErrRenewed):
		return fmt.Errorf("nothing is taken over: Kubernetes cluster %s is not gone: %w; end its driver first", kubernetes, err)
	case err != nil:
		return fmt.Errorf("nothing is taken over: it is not known whether Kubernetes cluster %s is gone: %w", kubernetes, err)
	case !slices.Contains(leased, true):
		return fmt.Errorf("nothing is taken over: it is not known whether Kubernetes cluster %s is gone: no driver of it has had a lease here, as versions before this had none. "+
			"If it is gone for good, let this Kubernetes cluster be that one: --set controller.kubernetesID=%s, see docs/two-clusters.md", kubernetes, kubernetes)
	}
	return nil
}
