// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

func volumeCommand(shared *sharedFlags) *cobra.Command {
	c := group("volume", "Look at the volumes that exist")
	c.AddCommand(volumeList(shared), volumeCheck(shared))
	return c
}

func volumeList(shared *sharedFlags) *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "list",
		Short: "List all volumes",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *volume.Manager, volumes []gluster.Volume) error {
				rows, err := fromEach(ctx, volumes, func(ctx context.Context, v gluster.Volume) ([]answers.Volume, error) { return listVolumes(ctx, m, v) })
				header := []string{"VOLUME", "PATH", "CAPACITY", "ENFORCED", "OWNER", "ON DELETE", "ORIGIN", "CREATED"}
				return errors.Join(err, write(c.OutOrStdout(), o, rows, header, func(r answers.Volume) []string {
					return []string{r.ID, r.Path, bytesIEC(r.Capacity), yesNo(r.Enforced), ownerText(r.Owner), r.OnDelete, r.Origin, isoTime(r.Created)}
				}))
			})
		},
	}
	o.add(c)
	return c
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

const listPage = 500

// listVolumes returns all volumes of a Gluster volume, or those that were read until it failed.
func listVolumes(ctx context.Context, m *volume.Manager, v gluster.Volume) ([]answers.Volume, error) {
	var rows []answers.Volume
	for after := ""; ; {
		page, err := listOnePage(ctx, m, v, after)
		for _, v := range page {
			rows = append(rows, answerVolume(v.ID, v.Record))
		}
		if err != nil || len(page) < listPage {
			return rows, err
		}
		after = page[len(page)-1].ID.ID
	}
}

func listOnePage(ctx context.Context, m *volume.Manager, v gluster.Volume, after string) ([]volume.Volume, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	return m.ListOn(ctx, v, after, listPage)
}
