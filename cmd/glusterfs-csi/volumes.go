// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

// volumeRow is a volume in JSON.
type volumeRow struct {
	ID       string          `json:"id"`
	Path     string          `json:"path"`
	Capacity int64           `json:"capacityBytes"`
	Enforced bool            `json:"enforced"`            // it ends there
	Used     *int64          `json:"usedBytes,omitempty"` // where that is known
	Owner    volume.Owner    `json:"owner"`
	OnDelete volume.OnDelete `json:"onDelete"`
	Origin   volume.Origin   `json:"origin"`
	Created  time.Time       `json:"created"`
}

func volumeCommand(shared *sharedFlags) *cobra.Command {
	c := group("volume", "Look at the volumes that exist, and adopt directories")
	c.AddCommand(volumeList(shared), volumeCheck(shared), volumeAdopt(shared), volumeRelease(shared))
	return c
}

func volumeList(shared *sharedFlags) *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "list",
		Short: "List all volumes",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, volumes []gluster.Volume) error {
				rows, err := fromEach(ctx, volumes, func(ctx context.Context, v gluster.Volume) ([]volumeRow, error) { return listVolumes(ctx, m, v) })
				header := []string{"VOLUME", "PATH", "CAPACITY", "ENFORCED", "USED", "OWNER", "ON DELETE", "ORIGIN", "CREATED"}
				return errors.Join(err, write(c.OutOrStdout(), o, rows, header, func(r volumeRow) []string {
					return []string{r.ID, r.Path, bytesIEC(r.Capacity), yesNo(r.Enforced), r.used(), r.Owner.String(), string(r.OnDelete), string(r.Origin), isoTime(r.Created)}
				}))
			})
		},
	}
	o.add(c)
	return c
}

func (r volumeRow) used() string {
	if r.Used == nil {
		return "-"
	}
	return bytesIEC(*r.Used)
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

const listPage = 500

// listVolumes returns all volumes of a Gluster volume, or those that were read until it failed.
func listVolumes(ctx context.Context, m *manager.Manager, v gluster.Volume) ([]volumeRow, error) {
	var rows []volumeRow
	for after := ""; ; {
		page, err := listOnePage(ctx, m, v, after)
		used, usedErr := usedOf(ctx, m, v, page)
		for _, v := range page {
			r := v.Record
			row := volumeRow{v.ID.String(), r.Path, r.Capacity, r.Enforced, nil, r.Owner, r.OnDelete, r.Origin, r.Created}
			if bytes, known := used[r.ID]; known {
				row.Used = &bytes
			}
			rows = append(rows, row)
		}
		if err = errors.Join(err, usedErr); err != nil || len(page) < listPage {
			return rows, err
		}
		after = page[len(page)-1].ID.ID
	}
}

// usedOf asks for nothing where no volume has a limit, or none could be listed.
func usedOf(ctx context.Context, m *manager.Manager, v gluster.Volume, page []manager.Volume) (map[string]int64, error) {
	if !slices.ContainsFunc(page, func(v manager.Volume) bool { return v.Record.Enforced }) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	return m.Used(ctx, v, page)
}

func listOnePage(ctx context.Context, m *manager.Manager, v gluster.Volume, after string) ([]manager.Volume, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	return m.ListOn(ctx, v, after, listPage)
}
