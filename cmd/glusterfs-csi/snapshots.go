// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

// errNotWhole says that a verification has found something.
var errNotWhole = errors.New("the snapshot is not what it was when it was complete")

func snapshotCommand(shared *sharedFlags) *cobra.Command {
	c := group("snapshot", "Look at snapshots, delete or verify them")
	c.AddCommand(snapshotList(shared), snapshotDelete(shared), snapshotVerify(shared))
	return c
}

func snapshotList(shared *sharedFlags) *cobra.Command {
	var o output
	var own bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List all snapshots",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, volumes []gluster.Volume) error {
				rows, err := fromEach(ctx, volumes, func(ctx context.Context, v gluster.Volume) ([]answers.Snapshot, error) {
					rows, err := listSnapshots(ctx, m, v)
					if err == nil && own {
						err = addOwn(ctx, m, rows)
					}
					return rows, err
				})
				header := []string{"SNAPSHOT", "VOLUME", "READY", "SIZE", "OWN", "FILES", "LINKED", "CHANGED", "CREATED"}
				return errors.Join(err, write(c.OutOrStdout(), o, rows, header, func(r answers.Snapshot) []string {
					if !r.Ready {
						return []string{r.ID, r.Volume, "no", "-", "-", "-", "-", "-", isoTime(r.Created)}
					}
					own := "-"
					if r.Own != nil {
						own = bytesIEC(*r.Own)
					}
					return []string{
						r.ID, r.Volume, "yes", bytesIEC(r.Size), own, strconv.FormatInt(r.Files, 10), strconv.FormatInt(r.Linked, 10),
						strconv.FormatInt(r.Changed, 10), isoTime(r.Created),
					}
				}))
			})
		},
	}
	c.Long = `List all snapshots. SIZE is what a volume needs that is to have all of one, OWN what is free
when that one is deleted (with --own), LINKED how many of its files it shares with the snapshot
before, and CHANGED how many went on changing while they were read, so that of them it has no
one moment; -o json has the first names.`
	o.add(c)
	c.Flags().BoolVar(&own, "own", false, "add up what each snapshot holds alone, which takes as long as a walk through all of it")
	return c
}

func listSnapshots(ctx context.Context, m *manager.Manager, v gluster.Volume) ([]answers.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	found, err := m.SnapshotsOn(ctx, v)
	var rows []answers.Snapshot
	for _, s := range found {
		row := answers.Snapshot{ID: s.ID.String(), Name: s.Name, Volume: s.Source.Volume, Created: s.Created, MadeFor: (*answers.SnapshotMadeFor)(s.MadeFor)}
		if r := s.Result; r != nil {
			row.Ready, row.Size, row.Files, row.Linked = true, r.Size, r.Entries, r.Linked
			row.Changed, row.ChangedFirst = r.Changed.Count+r.Vanished.Count, slices.Concat(r.Changed.First, r.Vanished.First)
		}
		rows = append(rows, row)
	}
	return rows, err
}

// addOwn adds what each snapshot holds alone. One that was deleted meanwhile has no such figure.
func addOwn(ctx context.Context, m *manager.Manager, rows []answers.Snapshot) error {
	var errs []error
	for i, row := range rows {
		if !row.Ready {
			continue
		}
		id, err := volume.ParseID(row.ID)
		if err == nil {
			var bytes int64
			if bytes, err = m.SnapshotAlone(ctx, id); err == nil {
				rows[i].Own = &bytes
			}
		}
		if !errors.Is(err, volume.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func snapshotDelete(shared *sharedFlags) *cobra.Command {
	return snapshotOne(shared, "delete SNAPSHOT", "Delete a snapshot that Kubernetes does not know any more",
		func(ctx context.Context, c *cobra.Command, m *manager.Manager, id volume.ID) error {
			ctx, cancel := context.WithTimeout(ctx, adminTimeout)
			defer cancel()
			if _, err := m.GetSnapshot(ctx, id); err != nil {
				return err
			}
			if err := m.DeleteSnapshot(ctx, id); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Deleted %s. The controller removes what it has.\n", id)
			return nil
		})
}

func snapshotVerify(shared *sharedFlags) *cobra.Command {
	var content bool
	c := snapshotOne(shared, "verify SNAPSHOT", "Compare a snapshot with what it was when it was complete",
		func(ctx context.Context, c *cobra.Command, m *manager.Manager, id volume.ID) error {
			report, err := m.VerifySnapshot(ctx, id, content)
			if err != nil {
				return err
			}
			for _, found := range []struct {
				what  string
				names copies.Names
			}{{"Missing", report.Missing}, {"Not its own", report.Foreign}, {"Different", report.Different}} {
				if found.names.Count > 0 {
					fmt.Fprintf(c.OutOrStdout(), "%s: %d: %s\n", found.what, found.names.Count, found.names.String())
				}
			}
			if !report.Whole() {
				return fmt.Errorf("%s: %w", id, errNotWhole)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is whole: %d files and directories, the content of %d compared.\n", id, report.Entries, report.Hashed)
			return nil
		})
	c.Long = `Compare a snapshot with what it was when it was complete: names, kinds, sizes and times of
change. It takes as long as a walk through all of it.`
	c.Flags().BoolVar(&content, "content", false, "read each file, too, and compare it by its hash")
	return c
}

// snapshotOne does something to one snapshot.
func snapshotOne(shared *sharedFlags, use, short string, do func(context.Context, *cobra.Command, *manager.Manager, volume.ID) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short,
		Args: takesOne("SNAPSHOT, as `glusterfs-csi snapshot list` shows it"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := volume.ParseID(args[0])
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, _ []gluster.Volume) error { return do(ctx, c, m, id) })
		},
	}
}
