// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

// trashRow is a trash entry in JSON. How much data it has is not known without a walk through all of it.
type trashRow struct {
	Entry    string       `json:"entry"`
	Volume   string       `json:"volume"`
	Path     string       `json:"path"`
	Capacity int64        `json:"capacityBytes"`
	Owner    volume.Owner `json:"owner"`
	Deleted  time.Time    `json:"deleted"`
	Due      time.Time    `json:"due"` // when it may go
	Held     bool         `json:"held"`
	// Unrestorable is the reason why it cannot be restored, "" where it can.
	Unrestorable string `json:"unrestorable,omitempty"`
}

func (r trashRow) due() string {
	if r.Held {
		return "held"
	}
	return isoTime(r.Due)
}

func trashCommand(shared *sharedFlags) *cobra.Command {
	c := group("trash", "Look at deleted volumes, restore or purge them")
	c.AddCommand(trashList(shared), trashRestore(shared), trashHold(shared), trashRelease(shared), trashPurge(shared))
	return c
}

func trashList(shared *sharedFlags) *cobra.Command {
	var o output
	var retention time.Duration
	c := &cobra.Command{
		Use:   "list",
		Short: "List the deleted volumes, the oldest first, and what of them can be restored",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, volumes []gluster.Volume) error {
				rows, err := listTrash(ctx, m, volumes, retention)
				header := []string{"ENTRY", "PATH", "CAPACITY", "OWNER", "DELETED", "DUE", "RESTORABLE"}
				return errors.Join(err, write(c.OutOrStdout(), o, rows, header, func(r trashRow) []string {
					restorable := "yes"
					if r.Unrestorable != "" {
						restorable = "no: " + r.Unrestorable
					}
					return []string{r.Entry, r.Path, bytesIEC(r.Capacity), r.Owner.String(), isoTime(r.Deleted), r.due(), line(restorable)}
				}))
			})
		},
	}
	o.add(c)
	c.Flags().DurationVar(&retention, "trash-retention", 24*time.Hour, "the controller's own, for the column DUE")
	return c
}

func listTrash(ctx context.Context, m *manager.Manager, volumes []gluster.Volume, retention time.Duration) ([]trashRow, error) {
	return fromEach(ctx, volumes, func(ctx context.Context, v gluster.Volume) ([]trashRow, error) {
		ctx, cancel := context.WithTimeout(ctx, adminTimeout)
		defer cancel()
		entries, err := m.Trash(ctx, v)
		var rows []trashRow
		for _, e := range entries {
			rows = append(rows, trashRow{
				Entry: v.String() + "/" + e.Name, Volume: volume.ID{Volume: v, ID: e.Record.ID}.String(),
				Path: e.Record.Path, Capacity: e.Record.Capacity, Owner: e.Record.Owner,
				Deleted: e.Deleted, Due: e.Due(retention), Held: e.Held(), Unrestorable: e.Unrestorable,
			})
		}
		return rows, err
	})
}

func trashRestore(shared *sharedFlags) *cobra.Command {
	var o output
	c := entryCommand(shared, "restore ENTRY", "Put a deleted volume back where it was",
		func(ctx context.Context, m *manager.Manager, entry volume.EntryID) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, adminTimeout)
			defer cancel()
			r, err := m.Restore(ctx, entry.Volume, entry.Name)
			id := volume.ID{Volume: entry.Volume, ID: r.ID}
			if err == nil && o.format == formatYAML {
				return manifest(id, r)
			}
			return fmt.Sprintf("Restored %s to directory %s of %s.", id, r.Path, entry.Volume), err
		})
	c.Long = `Put a deleted volume back where it was. With -o yaml it prints the PersistentVolume
and the claim to apply, for the volume to be used again.`
	o.addOf(c, "text", formatYAML)
	return c
}

func trashHold(shared *sharedFlags) *cobra.Command {
	return entryCommand(shared, "hold ENTRY", "Keep a deleted volume, however old it is and however little space there is, until it is released",
		func(ctx context.Context, m *manager.Manager, entry volume.EntryID) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, adminTimeout)
			defer cancel()
			return fmt.Sprintf("%s/%s is held.", entry.Volume, entry.Name), m.Hold(ctx, entry.Volume, entry.Name)
		})
}

func trashRelease(shared *sharedFlags) *cobra.Command {
	return entryCommand(shared, "release ENTRY", "Let a held volume go when it is due",
		func(ctx context.Context, m *manager.Manager, entry volume.EntryID) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, adminTimeout)
			defer cancel()
			return fmt.Sprintf("%s/%s is released.", entry.Volume, entry.Name), m.Release(ctx, entry.Volume, entry.Name)
		})
}

// entryCommand does something to one entry of the trash, and prints what was done.
func entryCommand(shared *sharedFlags, use, short string, do func(context.Context, *manager.Manager, volume.EntryID) (string, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: oneEntry,
		RunE: func(c *cobra.Command, args []string) error {
			entry, err := parseEntry(args[0])
			if err != nil {
				return err
			}
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, _ []gluster.Volume) error {
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

// byAge orders rows as they were deleted.
func byAge(a, b trashRow) int {
	return cmp.Or(a.Deleted.Compare(b.Deleted), cmp.Compare(a.Entry, b.Entry))
}
