// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// trashRow is a trash entry in JSON.
type trashRow struct {
	Entry    string    `json:"entry"`
	Volume   string    `json:"volume"`
	Path     string    `json:"path"`
	Capacity int64     `json:"capacityBytes"`
	Deleted  time.Time `json:"deleted"`
}

func trashCommand(shared *sharedFlags) *cobra.Command {
	c := group("trash", "Look at deleted volumes, restore or purge them")
	c.AddCommand(trashList(shared), trashRestore(shared), trashPurge(shared))
	return c
}

func trashList(shared *sharedFlags) *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "list",
		Short: "List the deleted volumes that can be restored, the oldest first",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *volume.Manager, volumes []gluster.Volume) error {
				rows, err := listTrash(ctx, m, volumes)
				header := []string{"ENTRY", "PATH", "CAPACITY", "DELETED"}
				return errors.Join(err, write(c.OutOrStdout(), o, rows, header, func(r trashRow) []string {
					return []string{r.Entry, r.Path, bytesIEC(r.Capacity), isoTime(r.Deleted)}
				}))
			})
		},
	}
	o.add(c)
	return c
}

func listTrash(ctx context.Context, m *volume.Manager, volumes []gluster.Volume) ([]trashRow, error) {
	var rows []trashRow
	var errs []error
	for _, v := range volumes {
		ctx, cancel := context.WithTimeout(ctx, adminTimeout)
		entries, err := m.Trash(ctx, v)
		cancel()
		errs = append(errs, err)
		for _, e := range entries {
			id := volume.ID{Volume: v, ID: e.Record.ID}
			rows = append(rows, trashRow{v.String() + "/" + e.Name, id.String(), e.Record.Path, e.Record.Capacity, e.Deleted})
		}
	}
	return rows, errors.Join(errs...)
}

func trashRestore(shared *sharedFlags) *cobra.Command {
	return entryCommand(shared, "restore ENTRY", "Put a deleted volume back where it was",
		func(ctx context.Context, m *volume.Manager, entry volume.EntryID) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, adminTimeout)
			defer cancel()
			r, err := m.Restore(ctx, entry.Volume, entry.Name)
			id := volume.ID{Volume: entry.Volume, ID: r.ID}
			return fmt.Sprintf("Restored %s to directory %s of %s.", id, r.Path, entry.Volume), err
		})
}

func trashPurge(shared *sharedFlags) *cobra.Command {
	return entryCommand(shared, "purge ENTRY", "Remove a deleted volume's data for good, now",
		func(ctx context.Context, m *volume.Manager, entry volume.EntryID) (string, error) {
			// However long it takes: it ends with the last file, or with Ctrl-C.
			err := m.Purge(ctx, entry.Volume, entry.Name)
			return fmt.Sprintf("Purged %s/%s.", entry.Volume, entry.Name), err
		})
}

// entryCommand does something to one entry of the trash, and says what was done.
func entryCommand(shared *sharedFlags, use, short string, do func(context.Context, *volume.Manager, volume.EntryID) (string, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: oneEntry,
		RunE: func(c *cobra.Command, args []string) error {
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *volume.Manager, _ []gluster.Volume) error {
				entry, err := parseEntry(args[0])
				if err != nil {
					return err
				}
				done, err := do(ctx, m, entry)
				if err != nil {
					return err
				}
				fmt.Fprintln(c.OutOrStdout(), done)
				return nil
			})
		},
	}
}

func oneEntry(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: `%s` takes one ENTRY, as `glusterfs-csi trash list` shows it", errUsage, c.CommandPath())
	}
	return nil
}

func parseEntry(arg string) (volume.EntryID, error) {
	entry, err := volume.ParseEntryID(arg)
	if err != nil {
		return volume.EntryID{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	return entry, nil
}
