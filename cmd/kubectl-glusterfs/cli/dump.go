// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/dump"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/live"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/report"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

const (
	defaultDumpSize  = "64Mi"
	defaultDumpSince = 24 * time.Hour
	// dumpTimeout leaves the time to write the bundle, of the minute that it may take.
	dumpTimeout = 50 * time.Second
	// forObjects is the part of the time that the lists of objects may take, forDoctor that of doctor.
	forObjects, forDoctor = 0.3, 0.9
)

// dumping is one run of `dump`.
type dumping struct {
	command

	file    string
	maxSize string
	since   time.Duration
	timeout time.Duration
}

func dumpCommand(base command) *cobra.Command {
	d := &dumping{command: base}
	c := &cobra.Command{
		Use:   "dump",
		Short: "Make a support bundle: objects, logs, what each node tells",
		Long: `Make a support bundle (tar.gz) for somebody who cannot look himself: the driver's
objects and volumes, events, logs of its pods and their predecessors, the clients'
logs, mounts, metrics and goroutines of every node, and what doctor finds.
Secrets, environments and names of files within volumes are left out. It lists
what is in it, and what could not be had in time.

Exit codes: 0 it is whole; 1 there is none; 2 wrong usage; 3 something is missing.`,
		Example: `  kubectl glusterfs dump
  kubectl glusterfs dump --since 2h --max-size 10Mi`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(c *cobra.Command, _ []string) error { return d.run(c.Context()) },
	}
	addOutput(c, &d.format)
	c.Flags().StringVarP(&d.file, "file", "f", "", "write it to `FILE`, which must not exist (default\nglusterfs-dump-TIME.tar.gz here)")
	c.Flags().StringVar(&d.maxSize, "max-size", defaultDumpSize, "how much text, at most, before it is compressed;\nof logs the newest, as `SIZE`")
	c.Flags().DurationVar(&d.since, "since", defaultDumpSince, "what was logged within this `TIME`; 0: all")
	c.Flags().DurationVar(&d.timeout, "timeout", dumpTimeout, "how long to ask, as `TIME`")
	return c
}

func (d *dumping) run(ctx context.Context) error {
	if err := checkFormat(d.format); err != nil {
		return err
	}
	limit, err := gluster.ParseBytes(d.maxSize)
	if err != nil {
		return fmt.Errorf("%w: --max-size: %w", errUsage, err)
	}
	if d.since < 0 || limit <= 0 {
		return fmt.Errorf("%w: --since and --max-size must be positive", errUsage)
	}
	var since time.Time
	if d.since > 0 {
		since = time.Now().Add(-d.since).UTC().Truncate(time.Second)
	}
	bundle := dump.New(apiVersion, since, limit)
	dir := "glusterfs-dump-" + bundle.Index.Made.Format("20060102T150405Z")
	if d.file == "" {
		d.file = dir + ".tar.gz"
	}
	// 0600: logs are for those who asked. It is made first, since to fail after a minute would help nobody.
	out, err := os.OpenFile(d.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = d.fill(ctx, bundle); err == nil {
		err = bundle.Write(out, dir)
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(d.file)
		return err
	}
	if err := d.print(bundle.Index); err != nil {
		return err
	}
	if len(bundle.Index.Missing) > 0 {
		return errLeft
	}
	return nil
}

// fill fails only where the cluster tells nothing at all.
func (d *dumping) fill(ctx context.Context, bundle *dump.Bundle) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	r, err := d.connection.reach(d.env)
	if err != nil {
		return err
	}
	config, err := d.connection.config()
	if err != nil {
		return err
	}
	source := dump.Source{Run: r.run}
	if source.Log, err = inside.Logs(config); err != nil {
		return err
	}
	fmt.Fprintln(d.env.Err, "Asking the cluster, and every node …")
	listing, stop := context.WithTimeout(ctx, d.part(forObjects))
	defer stop()
	objects, missing := live.ForDump(listing, r.client)
	if len(objects) == 0 && len(missing) > 0 {
		return fmt.Errorf("the cluster tells nothing: %s", missing[0].Why)
	}
	bundle.Index.Missing = missing
	source.Objects = dump.Objects{Driver: migrate.DriverName, Namespace: driverNamespace(objects), Since: bundle.Index.Since, All: objects}
	if source.Objects.Namespace != "" {
		if r.pods, err = inside.Pods(listing, r.client, source.Objects.Namespace); err != nil {
			bundle.Index.Missing = append(bundle.Index.Missing, answers.DumpMissing{What: "pods", Why: err.Error()})
		}
	}
	source.Objects.Driver, source.Pods = r.driverName(), r.pods
	source.Doctor = func(ctx context.Context) ([]answers.Finding, error) {
		ctx, cancel := context.WithTimeout(ctx, d.part(forDoctor)-d.part(forObjects))
		defer cancel()
		return (&examination{command: d.command}).live(ctx)
	}
	bundle.Fill(ctx, source)
	return nil
}

func (d *dumping) part(of float64) time.Duration { return time.Duration(of * float64(d.timeout)) }

func driverNamespace(objects []map[string]any) string {
	var all []migrate.Object
	for _, o := range objects {
		all = append(all, migrate.Object{Content: o})
	}
	return live.DriverNamespace(all)
}

func (d *dumping) print(index dump.Index) error {
	if isDone, err := d.encode(index); isDone {
		return err
	}
	if d.format == "name" {
		fmt.Fprintln(d.env.Out, d.file)
		return nil
	}
	file := d.file
	if !strings.ContainsRune(file, filepath.Separator) {
		file = "." + string(filepath.Separator) + file
	}
	report.Dump(d.env.Out, index, file, d.style())
	return nil
}
