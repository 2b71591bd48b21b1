// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/recovery"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/report"
)

// recovering is one run of `recover`.
type recovering struct {
	command

	all      bool
	selector string
	since    time.Duration
	older    time.Duration
	class    string
	takeOver string
	unowned  bool
	apply    bool
	dryRun   bool
	wait     bool
	timeout  time.Duration

	wanted recovery.Wanted
}

func recoverCommand(base command) *cobra.Command {
	r := &recovering{command: base}
	c := &cobra.Command{
		Use:   "recover [--take-over KUBERNETES] [--apply]",
		Short: "Make the objects of all volumes again, in a new cluster",
		Long: `Make the objects of all volumes again from what the Gluster volumes know, in a
Kubernetes cluster that has lost them, or in a new one: namespaces,
PersistentVolumes and claims, VolumeSnapshots. Without --apply it is a plan.
What exists is never changed: what of it differs is said. Repeated, it goes on
where it was. What was deleted is for "undelete".
` + exitCodes,
		Example: `  kubectl glusterfs recover                     # what would be done
  kubectl glusterfs recover --apply --wait
  kubectl glusterfs recover --take-over 5f0c2d6e-… --apply
  kubectl glusterfs recover -n shop -l app=web --older-than 24h --apply`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("storage-class") {
				r.wanted.Class = &r.class
			}
			return r.run(c.Context())
		},
	}
	addOutput(c, &r.format)
	f := c.Flags()
	f.BoolVarP(&r.all, "all-namespaces", "A", false, "of all namespaces, which is so without -n")
	f.StringVarP(&r.selector, "selector", "l", "", "of claims that had these `LABELS`, as app=web, when\ntheir volume was made")
	f.DurationVar(&r.since, "since", 0, "of volumes that were made within this `TIME`, as 1h")
	f.DurationVar(&r.older, "older-than", 0, "of volumes that were made longer ago than this `TIME`")
	f.StringVar(&r.class, "storage-class", "", "the StorageClass, where it is not the one that the\nvolume was made with, by `NAME`; \"\": none")
	f.StringVar(&r.takeOver, "take-over", "", "what Kubernetes cluster `ID` had becomes this one's\nfirst; refused while that one runs")
	f.BoolVar(&r.unowned, "unowned", false, "also what belongs to no Kubernetes cluster, as if it\nwere this one's")
	f.BoolVar(&r.apply, "apply", false, "do it, one by one; repeated, it goes on")
	f.BoolVar(&r.dryRun, "dry-run", false, "say what --apply would do")
	f.BoolVar(&r.wait, "wait", false, "with --apply: wait for the claims to be bound")
	f.DurationVar(&r.timeout, "timeout", 5*time.Minute, "how long --wait waits, as `TIME`")
	return c
}

// check is of what the flags say together. It says which volumes are meant.
func (r *recovering) check() error {
	if err := r.command.check("recover", []wrong{
		{r.all && r.connection.namespace() != "", "-A and -n exclude each other"},
		{r.since < 0 || r.older < 0, "--since and --older-than are times before now, as 1h"},
		{r.since > 0 && r.older >= r.since, "nothing was made both within --since and longer ago than --older-than"},
		{(r.dryRun || r.wait) && !r.apply, "--dry-run and --wait need --apply; without it nothing is changed anyway"},
		{r.dryRun && r.wait, "--dry-run changes nothing that --wait could wait for"},
	}); err != nil {
		return err
	}
	r.wanted.Namespace, r.wanted.TakeOver, r.wanted.Unowned = r.connection.namespace(), r.takeOver, r.unowned
	if r.since > 0 {
		r.wanted.Since = time.Now().Add(-r.since)
	}
	if r.older > 0 {
		r.wanted.Before = time.Now().Add(-r.older)
	}
	if r.selector != "" {
		var err error
		if r.wanted.Labels, err = labels.Parse(r.selector); err != nil {
			return fmt.Errorf("%w: -l %s: %w", errUsage, r.selector, err)
		}
	}
	return nil
}

func (r *recovering) run(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	driver, err := r.connection.driver(ctx, r.env)
	if err != nil {
		return err
	}
	return r.recover(ctx, driver)
}

// recover asks a driver that was found, and says what there is whatever becomes of it.
func (r *recovering) recover(ctx context.Context, driver *running) error {
	d := &recovery.Doer{Client: driver.client, Ask: driver.ask, Driver: driver.driverName(), Step: r.env.Step, Say: r.say}
	found, err := recovery.Read(ctx, driver.client, driver.ask, driver.driverName())
	if err != nil {
		return err
	}
	changes := r.apply && !r.dryRun
	isRefused := changes && found.Partly != nil
	if changes && !isRefused && found.IsOf(r.takeOver) {
		if err := d.TakeOver(ctx, r.takeOver); errors.Is(err, recovery.ErrLeft) {
			return fmt.Errorf("%w: %w", errLeft, err)
		} else if err != nil {
			return err
		}
		if found, err = recovery.Read(ctx, driver.client, driver.ask, driver.driverName()); err != nil {
			return err
		}
		r.wanted.TakeOver = "" // that is done
		isRefused = found.Partly != nil
	}
	plan := found.Plan(r.wanted)
	var failed error
	if changes && !isRefused {
		failed = r.do(ctx, d, plan)
	}
	if err := r.print(plan, changes && !isRefused); err != nil || failed != nil {
		return errors.Join(failed, err)
	}
	return whatIsLeft(found, plan, isRefused)
}

// whatIsLeft is an errLeft unless all is as it should be.
func whatIsLeft(found *recovery.Found, plan *recovery.Plan, isRefused bool) error {
	switch {
	case isRefused:
		return fmt.Errorf("%w: nothing is made, as not all of the Gluster volumes could be read, and which volume of a claim is the newest is not known: %w; "+
			"repeat when that is mended; only a Gluster volume that is gone for good itself is to be taken out of the clusters file", errLeft, found.Partly)
	case found.Partly != nil:
		return fmt.Errorf("%w: not all of the Gluster volumes could be read: %w", errLeft, found.Partly)
	case plan.IsLeft():
		return errLeft
	}
	return nil
}

// do makes what is missing. What somebody else has done meanwhile to one, or the API server refuses of it, holds up no
// other.
func (r *recovering) do(ctx context.Context, d *recovery.Doer, plan *recovery.Plan) error {
	for _, t := range plan.Volumes {
		if t.State != recovery.Missing {
			continue
		}
		if err := d.Volume(ctx, t); errors.Is(err, recovery.ErrLeft) {
			t.State, t.Reason = recovery.Blocked, reason(err, t.String())
		} else if err != nil {
			return err
		}
	}
	for _, s := range plan.Snapshots {
		if s.State != recovery.Missing {
			continue
		}
		if err := d.Snapshot(ctx, s); errors.Is(err, recovery.ErrLeft) {
			s.State, s.Reason = recovery.Blocked, reason(err, s.String())
		} else if err != nil {
			return err
		}
	}
	if !r.wait {
		return nil
	}
	return r.await(ctx, d, plan)
}

// await waits until the claims that were made are bound.
func (r *recovering) await(ctx context.Context, d *recovery.Doer, plan *recovery.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	for _, t := range plan.Volumes {
		if t.State != recovery.Made {
			continue
		}
		switch err := d.Bound(ctx, t); {
		case errors.Is(err, recovery.ErrLeft) && ctx.Err() != nil: // as for all that come after it
			return fmt.Errorf("%w: %w", errLeft, err)
		case errors.Is(err, recovery.ErrLeft):
			t.State, t.Reason = recovery.Blocked, reason(err, t.String())
		case err != nil:
			return err
		}
	}
	return nil
}

// reason is an ErrLeft without what is said before it.
func reason(err error, of string) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), recovery.ErrLeft.Error()+": "), of+": ")
}

func (r *recovering) print(plan *recovery.Plan, isDone bool) error {
	if isDone, err := r.encode(struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		*recovery.Plan
	}{apiVersion, "Recovery", plan}); isDone {
		return err
	}
	if r.format == "name" {
		for _, t := range plan.Volumes {
			if t.State == recovery.Made || t.State == recovery.There || t.State == recovery.Missing && !isDone {
				fmt.Fprintln(r.env.Out, "persistentvolume/"+t.Name)
				if t.Claim != "" {
					fmt.Fprintln(r.env.Out, "persistentvolumeclaim/"+t.Claim)
				}
			}
		}
		return nil
	}
	report.Recovery(r.env.Out, plan, r.style())
	return nil
}
