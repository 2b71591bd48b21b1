// SPDX-License-Identifier: Apache-2.0

// Command glusterfs-csi is the GlusterFS CSI driver, and what its administrator runs
// beside it.
//
// Exit codes, as those of `kubectl glusterfs`: 0 done, 1 it failed (the reason is on standard error), 2 wrong usage,
// 3 `volume check` or `volume split-brain` has left something that a person has to decide or do, or the worst that
// `doctor` has found is !, 4 it is ✘.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

// version is set when the binary is built.
var version = "devel"

// errUsage marks what is wrong with the command line itself.
var errUsage = errors.New("usage")

// errFound is that a check, which did not fail, has found something.
var errFound = errors.New("records and directories do not belong together everywhere")

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer klog.Flush()
	err := newRoot().ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "glusterfs-csi:", err)
	}
	return exitCode(err)
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, errFound), errors.Is(err, errSplit), errors.Is(err, errWarned):
		return 3
	case errors.Is(err, errUnwell):
		return 4
	}
	return 1
}

func newRoot() *cobra.Command {
	root := group("glusterfs-csi", "Directories of a GlusterFS volume as Kubernetes volumes")
	root.Long = `glusterfs-csi serves the Container Storage Interface for GlusterFS: it makes a
directory of a Gluster volume for each claim and mounts it where a pod wants it.`
	root.Version = version
	root.SilenceUsage, root.SilenceErrors = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetVersionTemplate("glusterfs-csi {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w; see `%s --help`", errUsage, err, c.CommandPath())
	})
	addLogFlags(root)
	shared := &sharedFlags{}
	shared.add(root)
	root.AddCommand(serveCommands(shared)...)
	root.AddCommand(volumeCommand(shared), trashCommand(shared), snapshotCommand(shared), doctorCommand(shared), debugCommand(shared), dumpCommand(shared), clientsCommand(), uninstallCheckCommand())
	return root
}

// group is a command that has others below it and does nothing itself.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, SuggestionsMinimumDistance: 2,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := ""
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf("did you mean %q? ", near[0])
			}
			return fmt.Errorf("%w: `%s` has no command %q; %ssee `%s --help`", errUsage, c.CommandPath(), args[0], hint, c.CommandPath())
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
}

// sharedFlags are those that every command has.
type sharedFlags struct {
	clusters string
	stateDir string
}

func (f *sharedFlags) add(root *cobra.Command) {
	root.PersistentFlags().StringVar(&f.clusters, "clusters", "/etc/glusterfs-csi/clusters.yaml", "the clusters file: servers and the volumes that may be used")
	root.PersistentFlags().StringVar(&f.stateDir, "state-dir", "/var/lib/glusterfs-csi", "root-only directory for the clients' mount points and logs")
}
