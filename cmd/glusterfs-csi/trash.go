// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

// dueOf is when an entry may go, for people.
func dueOf(e answers.TrashEntry) string {
	if e.Held {
		return "held"
	}
	return isoTime(e.Due)
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
				others := slices.ContainsFunc(rows, func(r answers.TrashEntry) bool { return r.Others })
				if others {
					header = slices.Insert(header, len(header)-1, "KUBERNETES")
				}
				return errors.Join(err, write(c.OutOrStdout(), o, rows, header, func(r answers.TrashEntry) []string {
					restorable := "yes"
					if r.Unrestorable != "" {
						restorable = "no: " + r.Unrestorable
					}
					row := []string{r.Entry, r.Path, bytesIEC(r.Capacity), ownerText(r.Owner), isoTime(r.Deleted), dueOf(r), line(restorable)}
					if others {
						row = slices.Insert(row, len(row)-1, cmp.Or(r.Kubernetes, "-"))
					}
					return row
				}))
			})
		},
	}
	o.add(c)
	c.Flags().DurationVar(&retention, "trash-retention", manager.DefaultRetention, "the controller's own, for the column DUE of what was deleted by a version that did not note it")
	return c
}

func listTrash(ctx context.Context, m *manager.Manager, volumes []gluster.Volume, retention time.Duration) ([]answers.TrashEntry, error) {
	own, err := m.Kubernetes(ctx)
	if err != nil {
		return nil, err
	}
	return fromEach(ctx, volumes, func(ctx context.Context, v gluster.Volume) ([]answers.TrashEntry, error) {
		ctx, cancel := context.WithTimeout(ctx, adminTimeout)
		defer cancel()
		entries, err := m.Trash(ctx, v)
		var rows []answers.TrashEntry
		for _, e := range entries {
			row := answerEntry(v, e, retention)
			row.Others = volume.IsOthers(e.Kubernetes(), own)
			rows = append(rows, row)
		}
		return rows, err
	})
}

func trashRestore(shared *sharedFlags) *cobra.Command {
	var o output
	c := entryCommand(shared, "restore ENTRY", "Put a deleted volume back where it was",
		func(ctx context.Context, m *manager.Manager, entry volume.EntryID) (string, error) {
			r, err := m.Restore(ctx, entry.Volume, entry.Name)
			id := volume.ID{Volume: entry.Volume, ID: r.ID}
			switch {
			case err != nil:
				return "", err
			case o.format == formatYAML:
				return manifest(id, r)
			case o.format == formatJSON:
				text, err := json.MarshalIndent(answerVolume(id, r), "", "  ")
				return string(text), err
			}
			return fmt.Sprintf("Restored %s to directory %s of %s.", id, r.Path, entry.Volume), nil
		})
	c.Long = `Put a deleted volume back where it was. With -o yaml it prints the PersistentVolume
and the claim to apply, for the volume to be used again.`
	o.addOf(c, "text", formatYAML, formatJSON)
	return c
}

func trashHold(shared *sharedFlags) *cobra.Command {
	return entryCommand(shared, "hold ENTRY", "Keep a deleted volume, however old it is and however little space there is, until it is released",
		func(ctx context.Context, m *manager.Manager, entry volume.EntryID) (string, error) {
			return fmt.Sprintf("%s/%s is held.", entry.Volume, entry.Name), m.Hold(ctx, entry.Volume, entry.Name)
		})
}

func trashRelease(shared *sharedFlags) *cobra.Command {
	return entryCommand(shared, "release ENTRY", "Let a held volume go when it is due",
		func(ctx context.Context, m *manager.Manager, entry volume.EntryID) (string, error) {
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
				ctx, cancel := context.WithTimeout(ctx, adminTimeout)
				defer cancel()
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

var oneEntry = takesOne("ENTRY, as `glusterfs-csi trash list` shows it")

func parseEntry(arg string) (volume.EntryID, error) {
	entry, err := volume.ParseEntryID(arg)
	if err != nil {
		return volume.EntryID{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	return entry, nil
}

// byAge orders rows as they were deleted.
func byAge(a, b answers.TrashEntry) int {
	return cmp.Or(a.Deleted.Compare(b.Deleted), cmp.Compare(a.Entry, b.Entry))
}
