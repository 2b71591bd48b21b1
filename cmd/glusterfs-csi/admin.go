// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

// adminTimeout bounds what only reads, and the start of a client: a server that is
// silently gone costs GlusterFS's ping-timeout of 42 s.
const adminTimeout = 60 * time.Second

// withVolumes calls fn with the volumes of the clusters file. A client that a driver
// runs on this host is used; one that had to be started is detached again.
func withVolumes(ctx context.Context, shared *sharedFlags, fn func(ctx context.Context, m *manager.Manager, volumes []gluster.Volume) error) (err error) {
	onlyErrors()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	clusters := gluster.WatchClusters(ctx, shared.clusters, nil)
	loaded, err := clusters.Current()
	if err != nil {
		return err
	}
	host, err := client.NewHost(shared.stateDir, clusters)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTimeout)
		defer cancel()
		err = errors.Join(err, host.DetachStarted(ctx))
	}()
	pool := permits.New(permits.Default, loaded.Volumes)
	m := manager.New(clusters, settings.New(clusters), host, pool, nil, gluster.ControllerOptions()...)
	defer m.Close()
	m.SetKubernetes(func(context.Context) (string, error) { return host.StateDir().Kubernetes() })
	return fn(ctx, m, loaded.Volumes())
}

// fromEach asks every Gluster volume at once, and returns the answers in their order. One that is silent holds up
// no other, and is in the error, by name.
func fromEach[T any](ctx context.Context, volumes []gluster.Volume, ask func(context.Context, gluster.Volume) ([]T, error)) ([]T, error) {
	found, errs := make([][]T, len(volumes)), make([]error, len(volumes))
	var all sync.WaitGroup
	for i, v := range volumes {
		all.Go(func() {
			var err error
			if found[i], err = ask(ctx, v); err != nil {
				errs[i] = fmt.Errorf("%s: %w", v, err)
			}
		})
	}
	all.Wait()
	return slices.Concat(found...), errors.Join(errs...)
}

// onlyErrors keeps what a driver logs out of a command's output, unless -v asks for it.
func onlyErrors() {
	if klog.V(1).Enabled() {
		return
	}
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	klog.SetOutputBySeverity("ERROR", os.Stderr)
}

// output is the -o flag, a pflag.Value: another format is refused before anything is done for it.
type output struct {
	format string
	choice []string // the first is the default
}

func (o *output) add(c *cobra.Command) { o.addOf(c, "table", formatJSON) }

func (o *output) addOf(c *cobra.Command, formats ...string) {
	o.format, o.choice = formats[0], formats
	c.Flags().VarP(o, "output", "o", o.choices())
}

func (o *output) choices() string {
	last := len(o.choice) - 1
	return strings.Join(o.choice[:last], ", ") + " or " + o.choice[last]
}

func (o *output) String() string { return o.format }
func (o *output) Type() string   { return "string" }

func (o *output) Set(format string) error {
	if !slices.Contains(o.choice, format) {
		return fmt.Errorf("%q is not %s", format, o.choices())
	}
	o.format = format
	return nil
}

// write prints items as JSON, or as a table with these columns.
func write[T any](w io.Writer, o output, items []T, header []string, row func(T) []string) error {
	if o.format == formatJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		if items == nil {
			items = []T{}
		}
		return encoder.Encode(items)
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, strings.Join(header, "\t"))
	for _, item := range items {
		fmt.Fprintln(table, strings.Join(row(item), "\t"))
	}
	return table.Flush()
}

// bytesIEC is a size as a person reads it: 1Gi, 1.5Gi, 512Mi.
func bytesIEC(n int64) string {
	units := []string{"", "Ki", "Mi", "Gi", "Ti", "Pi"}
	size, unit := float64(n), 0
	for size >= 1024 && unit < len(units)-1 {
		size /= 1024
		unit++
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", size), ".0") + units[unit]
}

func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
