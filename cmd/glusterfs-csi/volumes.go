// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

func volumeCommand(shared *sharedFlags) *cobra.Command {
	c := group("volume", "Look at the volumes that exist, adopt directories, take volumes over")
	c.AddCommand(volumeList(shared), volumeCheck(shared), volumeAdopt(shared), volumeRelease(shared), volumeTakeOver(shared), volumeSplitBrain(shared))
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
				rows, err := fromEach(ctx, volumes, func(ctx context.Context, v gluster.Volume) ([]answers.Volume, error) { return listVolumes(ctx, m, v) })
				header := []string{"VOLUME", "PATH", "CAPACITY", "ENFORCED", "USED", "OWNER", "ON DELETE", "ORIGIN", "CREATED"}
				others := slices.ContainsFunc(rows, func(r answers.Volume) bool { return r.Others })
				if others {
					header = append(header, "KUBERNETES")
				}
				return errors.Join(err, write(c.OutOrStdout(), o, rows, header, func(r answers.Volume) []string {
					row := []string{r.ID, r.Path, bytesIEC(r.Capacity), yesNo(r.Enforced), usedText(r), ownerText(r.Owner), r.OnDelete, r.Origin, isoTime(r.Created)}
					if others {
						row = append(row, cmp.Or(r.Kubernetes, "-"))
					}
					return row
				}))
			})
		},
	}
	o.add(c)
	return c
}

func usedText(r answers.Volume) string {
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

// listVolumes returns all volumes of a Gluster volume, or those that were read until it failed. What one uses is no part
// of that: who looks for a volume has found it.
func listVolumes(ctx context.Context, m *manager.Manager, v gluster.Volume) ([]answers.Volume, error) {
	own, err := m.Kubernetes(ctx)
	if err != nil {
		return nil, err
	}
	var rows []answers.Volume
	for after := ""; ; {
		page, err := listOnePage(ctx, m, v, after)
		used, usedErr := usedOf(ctx, m, v, page)
		if usedErr != nil {
			klog.FromContext(ctx).Error(usedErr, "Not known what volumes use", "volume", v)
		}
		for _, v := range page {
			row := answerVolume(v.ID, v.Record)
			row.Others = volume.IsOthers(v.Record.Kubernetes, own)
			if bytes, known := used[v.Record.ID]; known {
				row.Used = &bytes
			}
			rows = append(rows, row)
		}
		if err != nil || len(page) < listPage {
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
