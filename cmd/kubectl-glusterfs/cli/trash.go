// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/report"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/undelete"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// apiVersion is that of what -o json and -o yaml print, but for migration plans.
const apiVersion = "glusterfs.csi.gluster.org/v1alpha1"

// trashing is one run of `trash`.
type trashing struct {
	command

	all bool
}

func trashCommand(base command) *cobra.Command {
	l := &trashing{command: base}
	c := &cobra.Command{
		Use:   "trash [-n NAMESPACE | -A]",
		Short: "List deleted claims whose data can be brought back",
		Long: `List what is in the trash of the Gluster volumes, by the claims that it was made
for, the newest first: of one namespace, or with -A of all. The running
controller is asked. "undelete" brings a claim back.
` + exitCodes,
		Example: `  kubectl glusterfs trash -A
  kubectl glusterfs trash -n shop -o wide     # with the names of the entries`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(c *cobra.Command, _ []string) error { return l.run(c.Context()) },
	}
	addOutput(c, &l.format)
	c.Flags().BoolVarP(&l.all, "all-namespaces", "A", false, "of all namespaces, of volumes whose claim is not\nknown, and of other Kubernetes clusters")
	return c
}

func (l *trashing) run(ctx context.Context) error {
	if err := l.check("trash", []wrong{{l.all && l.connection.namespace() != "", "-A and -n exclude each other"}}); err != nil {
		return err
	}
	namespace, err := l.connection.current()
	if l.all {
		namespace = ""
	}
	if err != nil {
		return err
	}
	driver, err := l.connection.driver(ctx, l.env)
	if err != nil {
		return err
	}
	entries, partly := undelete.ReadTrash(ctx, driver.ask, driver.flag("--trash-retention"))
	if entries == nil && partly != nil {
		return partly
	}
	entries = slices.DeleteFunc(entries, func(e answers.TrashEntry) bool {
		return namespace != "" && (e.MadeFor == nil || e.MadeFor.Namespace != namespace || e.Others)
	})
	slices.SortFunc(entries, func(a, b answers.TrashEntry) int { return b.Deleted.Compare(a.Deleted) })
	if err := l.print(entries, namespace); err != nil {
		return err
	}
	if partly != nil {
		return fmt.Errorf("%w: not all of the trash could be read: %w", errLeft, partly)
	}
	return nil
}

func (l *trashing) print(entries []answers.TrashEntry, namespace string) error {
	if isDone, err := encodeList(&l.command, "TrashList", entries); isDone {
		return err
	}
	if l.format == "name" {
		for _, e := range entries {
			fmt.Fprintln(l.env.Out, e.Entry)
		}
		return nil
	}
	report.Trash(l.env.Out, entries, namespace, l.style())
	return nil
}
