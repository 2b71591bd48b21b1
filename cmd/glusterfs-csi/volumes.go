// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// volumeRow is a volume in JSON.
type volumeRow struct {
	ID       string          `json:"id"`
	Path     string          `json:"path"`
	Capacity int64           `json:"capacityBytes"`
	Owner    volume.Owner    `json:"owner"`
	OnDelete volume.OnDelete `json:"onDelete"`
	Origin   volume.Origin   `json:"origin"`
	Created  time.Time       `json:"created"`
}

func volumeCommand(shared *sharedFlags) *cobra.Command {
	c := group("volume", "Look at the volumes that exist")
	var o output
	list := &cobra.Command{
		Use:   "list",
		Short: "List all volumes",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *volume.Manager, _ []gluster.Volume) error {
				rows, err := listVolumes(ctx, m)
				if err != nil {
					return err
				}
				header := []string{"VOLUME", "PATH", "CAPACITY", "OWNER", "ON DELETE", "ORIGIN", "CREATED"}
				return write(c.OutOrStdout(), o, rows, header, func(r volumeRow) []string {
					return []string{r.ID, r.Path, bytesIEC(r.Capacity), r.Owner.String(), string(r.OnDelete), string(r.Origin), isoTime(r.Created)}
				})
			})
		},
	}
	o.add(list)
	c.AddCommand(list)
	return c
}

const listPage = 500

func listVolumes(ctx context.Context, m *volume.Manager) ([]volumeRow, error) {
	var rows []volumeRow
	for after := ""; ; {
		page, next, err := listOnePage(ctx, m, after)
		if err != nil {
			return nil, fmt.Errorf("list volumes: %w", err)
		}
		for _, v := range page {
			r := v.Record
			rows = append(rows, volumeRow{v.ID.String(), r.Path, r.Capacity, r.Owner, r.OnDelete, r.Origin, r.Created})
		}
		if next == "" {
			return rows, nil
		}
		after = next
	}
}

func listOnePage(ctx context.Context, m *volume.Manager, after string) ([]volume.Volume, string, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	return m.List(ctx, after, listPage)
}
