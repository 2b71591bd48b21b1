// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
)

// purgeFlags say what is to be purged.
type purgeFlags struct {
	all       bool
	olderThan time.Duration
	yes       bool
}

func (f *purgeFlags) many() bool { return f.all || f.olderThan > 0 }

func trashPurge(shared *sharedFlags) *cobra.Command {
	var f purgeFlags
	c := &cobra.Command{
		Use:   "purge ENTRY | --all | --older-than AGE",
		Short: "Remove a deleted volume's data for good, now",
		Long: `Remove a deleted volume's data for good, now: of one entry, of all, or of those
that were deleted long enough ago. What is held (trash hold) stays, and with --all and
--older-than what other Kubernetes clusters deleted. It asks before, on a terminal;
elsewhere --all and --older-than need --yes.`,
		Args: f.check,
		RunE: func(c *cobra.Command, args []string) error {
			var one volume.EntryID
			var err error
			if !f.many() {
				if one, err = parseEntry(args[0]); err != nil {
					return err
				}
			}
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, volumes []gluster.Volume) error {
				chosen, leftErr := []volume.EntryID{one}, error(nil)
				if f.many() {
					chosen, leftErr = f.choose(ctx, c.ErrOrStderr(), m, volumes)
				}
				if len(chosen) == 0 || !f.confirmed(c, chosen) {
					return leftErr
				}
				return errors.Join(leftErr, purge(ctx, c, m, chosen))
			})
		},
	}
	c.Flags().BoolVar(&f.all, "all", false, "all of the trash")
	c.Flags().DurationVar(&f.olderThan, "older-than", 0, "what was deleted longer ago, as 12h")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	return c
}

func (f *purgeFlags) check(c *cobra.Command, args []string) error {
	switch {
	case c.Flags().Changed("older-than") && f.olderThan <= 0:
		return fmt.Errorf("%w: --older-than %s is not an age, as 12h", errUsage, f.olderThan)
	case f.all && f.olderThan > 0:
		return fmt.Errorf("%w: --all and --older-than say different things", errUsage)
	case f.many() && len(args) > 0:
		return fmt.Errorf("%w: an ENTRY and --all or --older-than say different things", errUsage)
	case f.many() && !f.yes && !isTerminal(c.InOrStdin()):
		return fmt.Errorf("%w: there is no terminal to ask: say --yes", errUsage)
	case f.many():
		return nil
	}
	return oneEntry(c, args)
}

// choose returns the entries that are meant, the oldest first. What is held is not, nor what other Kubernetes clusters
// deleted, which is said.
func (f *purgeFlags) choose(ctx context.Context, say io.Writer, m *manager.Manager, volumes []gluster.Volume) ([]volume.EntryID, error) {
	rows, err := listTrash(ctx, m, volumes, 0)
	slices.SortFunc(rows, byAge)
	var chosen []volume.EntryID
	others := 0
	for _, r := range rows {
		if r.Held || time.Since(r.Deleted) < f.olderThan {
			continue
		}
		if r.Others {
			others++
			continue
		}
		entry, entryErr := volume.ParseEntryID(r.Entry)
		err = errors.Join(err, entryErr)
		chosen = append(chosen, entry)
	}
	if others > 0 {
		fmt.Fprintf(say, "Entries of other Kubernetes clusters, which are left: %d. Each can be purged by its name.\n", others)
	}
	return chosen, err
}

// confirmed asks, where there is somebody to ask.
func (f *purgeFlags) confirmed(c *cobra.Command, chosen []volume.EntryID) bool {
	if f.yes || !isTerminal(c.InOrStdin()) {
		return true
	}
	what := nameOf(chosen[0])
	if f.many() {
		what = fmt.Sprintf("%d deleted volumes, the oldest %s", len(chosen), what)
	}
	fmt.Fprintf(c.ErrOrStderr(), "Remove the data of %s for good? [y/N] ", what)
	answer, _ := bufio.NewReader(c.InOrStdin()).ReadString('\n') // none is a no
	return strings.EqualFold(strings.TrimSpace(answer), "y") || strings.EqualFold(strings.TrimSpace(answer), "yes")
}

func nameOf(e volume.EntryID) string { return e.Volume.String() + "/" + e.Name }

// purge removes one entry after the other. One that cannot go holds up no other; Ctrl-C ends it.
func purge(ctx context.Context, c *cobra.Command, m *manager.Manager, chosen []volume.EntryID) error {
	var errs []error
	for i, entry := range chosen {
		if ctx.Err() != nil {
			err := fmt.Errorf("interrupted: %d entries were not touched, from %s on", len(chosen)-i, nameOf(entry))
			return errors.Join(append(errs, err)...)
		}
		err := purgeOne(ctx, c.ErrOrStderr(), m, entry)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(c.OutOrStdout(), "Purged %s.\n", nameOf(entry))
	}
	return errors.Join(errs...)
}

// purgeOne takes however long it takes: it ends with the last file, or with Ctrl-C, and says then what is true.
func purgeOne(ctx context.Context, terminal io.Writer, m *manager.Manager, entry volume.EntryID) error {
	var progress trash.Purging
	done := make(chan struct{})
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		showProgress(terminal, nameOf(entry), &progress, done)
	}()
	err := m.Purge(ctx, entry.Volume, entry.Name, &progress)
	close(done)
	<-shown
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case errors.Is(err, volume.ErrDisconnected):
		return fmt.Errorf("interrupted: %w: whether %s can still be restored is said by `glusterfs-csi trash list` when it answers again",
			err, nameOf(entry))
	case progress.Begun.Load():
		return fmt.Errorf("interrupted: %s is partly removed (%d files and directories) and cannot be restored any more; "+
			"the rest goes by itself while a controller runs, or by repeating this", nameOf(entry), progress.Removed.Load())
	}
	return fmt.Errorf("interrupted: nothing of %s was removed", nameOf(entry))
}

// showProgress says on a terminal how far a removal is, until it is done.
func showProgress(to io.Writer, what string, p *trash.Purging, done <-chan struct{}) {
	if !isTerminal(to) {
		<-done
		return
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			fmt.Fprintf(to, "\r\033[K")
			return
		case <-ticker.C:
			fmt.Fprintf(to, "\r\033[K%s: %d files and directories removed", what, p.Removed.Load())
		}
	}
}

// isTerminal says whether a person reads or writes there.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
