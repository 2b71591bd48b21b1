// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

func volumeAdopt(shared *sharedFlags) *cobra.Command {
	var o output
	var path, capacity string
	c := &cobra.Command{
		Use: "adopt VOLUME --path DIRECTORY", Short: "Make a volume of a directory that is there; nothing ever deletes its data", Args: oneVolume,
		Long: `Make a volume of a directory that is there: pi/gv0/ID, with an ID of your choice.
The directory stays as it is. Statistics, expansion, limits and changes of owner work
then as for any volume; deleting it leaves the data, and so does ` + "`volume release`" + `.
With -o yaml it prints the PersistentVolume and the claim to apply.`,
		RunE: func(c *cobra.Command, args []string) error {
			id, bytes, err := parseAdoption(args[0], path, capacity)
			if err != nil {
				return err
			}
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, _ []gluster.Volume) error {
				ctx, cancel := context.WithTimeout(ctx, adminTimeout)
				defer cancel()
				r, err := m.Adopt(ctx, id, path, bytes)
				text := fmt.Sprintf("Adopted directory %s of %s as volume %s.\n", r.Path, id.Volume, id)
				if err == nil && o.format == formatYAML {
					text, err = manifest(id, r)
				}
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(c.OutOrStdout(), text)
				return err
			})
		},
	}
	c.Flags().StringVar(&path, "path", "", "the directory, below the Gluster volume's root")
	c.Flags().StringVar(&capacity, "capacity", "", "its size, as 10Gi; a VolumeAttributesClass makes it a limit (default none)")
	o.addOf(c, "text", formatYAML)
	return c
}

func volumeRelease(shared *sharedFlags) *cobra.Command {
	return &cobra.Command{
		Use: "release VOLUME", Short: "Forget a volume that was adopted; its directory stays as it is", Args: oneVolume,
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseVolume(args[0])
			if err != nil {
				return err
			}
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, _ []gluster.Volume) error {
				ctx, cancel := context.WithTimeout(ctx, adminTimeout)
				defer cancel()
				if err := m.GiveBack(ctx, id); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "Released %s; its directory stays.\n", id)
				return nil
			})
		},
	}
}

var oneVolume = takesOne("VOLUME, as pi/gv0/ID")

// takesOne is for a command of one argument, which it names.
func takesOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%w: `%s` takes one %s", errUsage, c.CommandPath(), what)
		}
		return nil
	}
}

func parseVolume(arg string) (volume.ID, error) {
	id, err := volume.ParseID(arg)
	if err != nil {
		return volume.ID{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	return id, nil
}

func parseAdoption(arg, path, capacity string) (id volume.ID, bytes int64, err error) {
	if id, err = parseVolume(arg); err != nil {
		return id, 0, err
	}
	if path == "" {
		return id, 0, fmt.Errorf("%w: --path is missing: the directory, below the Gluster volume's root", errUsage)
	}
	if capacity != "" {
		if bytes, err = gluster.ParseBytes(capacity); err != nil {
			return id, 0, fmt.Errorf("%w: --capacity: %w", errUsage, err)
		}
	}
	return id, bytes, nil
}
