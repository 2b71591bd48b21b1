// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/splitbrain"
)

// mostSplit is how many files are listed and settled at once.
const mostSplit = 10000

// errSplit is that files are left that the bricks disagree on.
var errSplit = errors.New("files that the bricks disagree on are left")

// splitBrainFlags say what is to be settled.
type splitBrainFlags struct {
	keep   string
	dryRun bool
	output output
}

func volumeSplitBrain(shared *sharedFlags) *cobra.Command {
	var f splitBrainFlags
	c := &cobra.Command{
		Use:   "split-brain VOLUME [PATH]",
		Short: "List files that the bricks disagree on, and settle which copy counts",
		Long: `List files of a volume that the bricks disagree on (split-brain: GlusterFS answers
input/output error for them), with what each brick has, or look at the one at PATH below
the volume's directory. Nothing is changed unless --keep is given: then that copy counts,
and the other one is kept beside the file as NAME.split-brain-TIME, TIME being when it was
changed last. Killed at any moment it is to be repeated.

Exit codes: 0 the bricks agree (now), 1 it failed, 2 wrong usage, 3 files are left that
they disagree on.`,
		Args: func(_ *cobra.Command, args []string) error { return f.check(args) },
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseVolume(args[0])
			if err != nil {
				return err
			}
			path := ""
			if len(args) == 2 {
				path = args[1]
			}
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, _ []gluster.Volume) error {
				return f.run(ctx, c, m, id, path)
			})
		},
	}
	c.Flags().StringVar(&f.keep, "keep", "", "which copy counts: newest, largest or brick=HOST:PATH")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "with --keep: say which copy would count, and change nothing")
	f.output.add(c)
	return c
}

func (f *splitBrainFlags) check(args []string) error {
	switch {
	case len(args) < 1 || len(args) > 2:
		return fmt.Errorf("%w: `volume split-brain` takes a VOLUME, as pi/gv0/ID, and a PATH below its directory", errUsage)
	case f.dryRun && f.keep == "":
		return fmt.Errorf("%w: --dry-run is for --keep: without, nothing is changed", errUsage)
	case f.keep != "":
		if _, err := splitbrain.ParseKeep(f.keep); err != nil {
			return fmt.Errorf("%w: --keep: %w", errUsage, err)
		}
	}
	if len(args) == 2 {
		if err := safepath.Check(args[1]); err != nil {
			return fmt.Errorf("%w: PATH: %w", errUsage, err)
		}
	}
	return nil
}

func (f *splitBrainFlags) run(ctx context.Context, c *cobra.Command, m *manager.Manager, id volume.ID, path string) error {
	var rows []answers.SplitFile
	left, more := 0, 0
	err := m.SplitBrain(ctx, id, func(v *splitbrain.Volume) error {
		var files []splitbrain.File
		var err error
		if path == "" {
			files, more, err = v.Find(ctx, mostSplit)
		} else {
			files, err = oneSplit(ctx, v, path)
			if err == nil && len(files) == 0 && f.keep != "" && !f.dryRun {
				err = f.finish(ctx, v, path, &rows)
			}
		}
		for _, file := range files {
			row := splitRow(file)
			isSettled := false
			if f.keep != "" && ctx.Err() == nil {
				var settleErr error
				isSettled, settleErr = f.settle(ctx, v, file, &row)
				err = errors.Join(err, settleErr)
			}
			if !isSettled {
				left++
			}
			rows = append(rows, row)
		}
		return err
	})
	err = errors.Join(err, writeSplit(c, f.output, rows))
	if more > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "glusterfs-csi: and %d files more: repeat the command when these are settled\n", more)
	}
	if err == nil && left+more > 0 {
		err = fmt.Errorf("%w: %d", errSplit, left+more)
	}
	return err
}

func oneSplit(ctx context.Context, v *splitbrain.Volume, path string) ([]splitbrain.File, error) {
	file, found, err := v.At(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", volume.ErrNotFound, err)
	}
	if err != nil || !found {
		return nil, err
	}
	return []splitbrain.File{file}, nil
}

// settle settles one file, or says what would be done. That one cannot be settled is said beside it, and stops no
// other.
func (f *splitBrainFlags) settle(ctx context.Context, v *splitbrain.Volume, file splitbrain.File, row *answers.SplitFile) (isSettled bool, err error) {
	if file.Why != "" {
		return false, nil // the row says it
	}
	keep, err := splitbrain.ParseKeep(f.keep)
	if err != nil {
		return false, err
	}
	if f.dryRun {
		var counts splitbrain.Brick
		counts, err = v.Counts(file, keep)
		row.Counts = counts.Address
	} else {
		var settled splitbrain.Settled
		settled, err = v.Settle(ctx, file, keep)
		row.Counts, row.Kept = settled.Counts.Address, settled.Kept
	}
	if errors.Is(err, volume.ErrInvalid) {
		row.Counts, row.Why = "", err.Error()
		return false, nil
	}
	return err == nil && !f.dryRun, err
}

// finish finishes what an attempt that was killed had begun on a file that its bricks agree on.
func (f *splitBrainFlags) finish(ctx context.Context, v *splitbrain.Volume, path string, rows *[]answers.SplitFile) error {
	keep, err := splitbrain.ParseKeep(f.keep)
	if err != nil {
		return err
	}
	settled, err := v.Settle(ctx, splitbrain.File{Path: path}, keep)
	if settled.Kept != "" {
		*rows = append(*rows, answers.SplitFile{Path: path, Kept: settled.Kept})
	}
	return err
}

func splitRow(file splitbrain.File) answers.SplitFile {
	row := answers.SplitFile{Path: file.Path, Differs: string(file.Kind), Why: file.Why}
	for _, c := range file.Copies {
		one := answers.SplitCopy{Brick: c.Brick.Address}
		if c.Err != nil {
			one.Error = c.Err.Error()
		} else {
			one.Size, one.Changed = c.Stat.Size, c.Changed().UTC()
			one.Mode = fmt.Sprintf("%04o", c.Stat.Mode&^uint32(unix.S_IFMT))
			one.UID, one.GID = c.Stat.Uid, c.Stat.Gid
		}
		row.Copies = append(row.Copies, one)
	}
	return row
}

// writeSplit prints a line for each copy.
func writeSplit(c *cobra.Command, o output, rows []answers.SplitFile) error {
	if o.format == formatJSON {
		return write(c.OutOrStdout(), o, rows, nil, nil)
	}
	if len(rows) == 0 {
		return nil
	}
	type line struct {
		file answers.SplitFile
		copy answers.SplitCopy
	}
	var lines []line
	for _, row := range rows {
		for _, one := range row.Copies {
			lines = append(lines, line{row, one})
		}
	}
	header := []string{"FILE", "DIFFERS IN", "BRICK", "SIZE", "CHANGED", "MODE", "OWNER", "COUNTS"}
	err := write(c.OutOrStdout(), o, lines, header, func(l line) []string {
		start := []string{strconv.Quote(l.file.Path), l.file.Differs, l.copy.Brick}
		if l.copy.Error != "" {
			return append(start, "-", "-", "-", "-", "-")
		}
		return append(start, strconv.FormatInt(l.copy.Size, 10), l.copy.Changed.Format(time.RFC3339Nano), l.copy.Mode, fmt.Sprintf("%d:%d", l.copy.UID, l.copy.GID), countsText(l.file, l.copy))
	})
	for _, row := range rows {
		switch {
		case row.Why != "":
			fmt.Fprintf(c.OutOrStdout(), "%q is left as it is: %s\n", row.Path, strings.TrimSpace(row.Why))
		case row.Kept != "":
			fmt.Fprintf(c.OutOrStdout(), "%q is settled; the other copy is kept as %q\n", row.Path, row.Kept)
		}
	}
	return err
}

func countsText(file answers.SplitFile, one answers.SplitCopy) string {
	switch file.Counts {
	case "":
		return "-"
	case one.Brick:
		return "yes"
	}
	return "no"
}
