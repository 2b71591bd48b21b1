// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/report"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/undelete"
)

// undeletion is one run of `undelete`.
type undeletion struct {
	command

	claims  []string
	whole   bool
	all     bool
	since   time.Duration
	entry   string
	class   string
	dryRun  bool
	wait    bool
	timeout time.Duration
}

func undeleteCommand(base command) *cobra.Command {
	u := &undeletion{command: base}
	c := &cobra.Command{
		Use:   "undelete {CLAIM… | --namespace-all} [-n NAMESPACE]",
		Short: "Bring deleted claims back, with their data",
		Long: `Bring deleted claims back: the data from the trash, and PersistentVolume and claim
as they were: name, size, class, access modes, mount options. Labels and
annotations of the claim are not kept by anybody. Of several that a claim of this
name had, the newest comes back. Repeated, it goes on where it was; what is back
stays as it is.
` + exitCodes,
		Example: `  kubectl glusterfs undelete data -n shop --wait
  kubectl glusterfs undelete --namespace-all -n shop --dry-run
  kubectl glusterfs undelete --namespace-all -A --since 1h
  kubectl glusterfs undelete data -n shop --entry pi/gv0/pvc-….20261126T…`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			u.claims = args
			return u.run(c.Context())
		},
	}
	addOutput(c, &u.format)
	f := c.Flags()
	f.BoolVar(&u.whole, "namespace-all", false, "every claim of the namespace that is gone")
	f.BoolVarP(&u.all, "all-namespaces", "A", false, "with --namespace-all: of all namespaces")
	f.DurationVar(&u.since, "since", 0, "what was deleted within this `TIME`, as 1h")
	f.StringVar(&u.entry, "entry", "", "not the newest: this `ENTRY`, as `trash -o wide`\nshows it")
	f.StringVar(&u.class, "storage-class", "", "the StorageClass, where it is not the one that the\nvolume was made with, by `NAME`")
	f.BoolVar(&u.dryRun, "dry-run", false, "say what would be done")
	f.BoolVar(&u.wait, "wait", false, "wait for the claims to be bound")
	f.DurationVar(&u.timeout, "timeout", 5*time.Minute, "how long --wait waits, as `TIME`")
	return c
}

// check is of what the flags say together.
func (u *undeletion) check() error {
	return u.command.check("undelete", []wrong{
		{len(u.claims) == 0 && !u.whole, "name the claims, or say --namespace-all"},
		{len(u.claims) > 0 && u.whole, "names of claims and --namespace-all exclude each other"},
		{u.all && !u.whole, "-A needs --namespace-all"},
		{u.all && u.connection.namespace() != "", "-A and -n exclude each other"},
		{u.entry != "" && len(u.claims) != 1, "--entry is of one claim"},
		{u.since < 0, "--since is a time before now, as 1h"},
		{u.dryRun && u.wait, "--dry-run changes nothing that --wait could wait for"},
	})
}

func (u *undeletion) run(ctx context.Context) error {
	if err := u.check(); err != nil {
		return err
	}
	wanted := undelete.Wanted{Claims: u.claims, Entry: u.entry, Class: u.class}
	if u.since > 0 {
		wanted.Since = time.Now().Add(-u.since)
	}
	if !u.all {
		namespace, err := u.connection.current()
		if err != nil {
			return err
		}
		wanted.Namespace = namespace
	}
	driver, err := u.connection.driver(ctx, u.env)
	if err != nil {
		return err
	}
	return u.undelete(ctx, driver, wanted)
}

// undelete asks a driver that was found.
func (u *undeletion) undelete(ctx context.Context, driver *running, wanted undelete.Wanted) error {
	found, err := undelete.Read(ctx, driver.client, driver.ask, driver.driverName())
	if err != nil {
		return err
	}
	plan := found.Plan(wanted)
	partly := found.Partly
	if wanted.Entry != "" && isKnown(plan[0]) {
		partly = nil // what was found is wanted, be it the newest or not
	}
	d := &undelete.Doer{Client: driver.client, Ask: driver.ask, Found: found, Step: u.env.Step, Say: u.say}
	if !u.dryRun && partly == nil {
		if err := u.do(ctx, d, plan); err != nil {
			return err
		}
	}
	if err := u.print(plan); err != nil {
		return err
	}
	return outcome(plan, partly)
}

// isKnown says that nothing which could not be read changes what is to be done about a claim.
func isKnown(t *undelete.Target) bool {
	return t.State == undelete.There || t.From != nil && t.From.Unrestorable == ""
}

// do brings back what is ready. What somebody else has done meanwhile to one holds up no other.
func (u *undeletion) do(ctx context.Context, d *undelete.Doer, plan []*undelete.Target) error {
	for _, t := range plan {
		if t.State != undelete.Ready {
			continue
		}
		if err := d.Do(ctx, t); errors.Is(err, undelete.ErrLeft) {
			t.State, t.Reason = undelete.Blocked, strings.TrimPrefix(err.Error(), undelete.ErrLeft.Error()+": "+t.String()+": ")
		} else if err != nil {
			return err
		}
	}
	if !u.wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, u.timeout)
	defer cancel()
	for _, t := range plan {
		if t.State != undelete.Back {
			continue
		}
		if err := d.Bound(ctx, t); errors.Is(err, undelete.ErrLeft) {
			return fmt.Errorf("%w: %w", errLeft, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (u *undeletion) print(plan []*undelete.Target) error {
	if isDone, err := encodeList(&u.command, "Undeletion", plan); isDone {
		return err
	}
	if u.format == "name" {
		for _, t := range plan {
			if t.State == undelete.Back || t.State == undelete.There {
				fmt.Fprintln(u.env.Out, "persistentvolumeclaim/"+t.Claim)
			}
		}
		return nil
	}
	report.Undeletion(u.env.Out, plan, u.style())
	return nil
}

// errGone says that nothing can bring a claim back.
var errGone = errors.New("not everything that was asked for is there any more")

// outcome is of a plan that was done, but where not all could be read: of such a one nothing is.
func outcome(plan []*undelete.Target, partly error) error {
	if partly != nil {
		return fmt.Errorf("%w: nothing is brought back, as not all volumes and trash could be read, and nobody knows where the newest data of a claim is: %w; "+
			"repeat when that is mended, or name what is to come back (--entry; `kubectl glusterfs trash -A -o wide`)", errLeft, partly)
	}
	var err error
	for _, t := range plan {
		switch t.State {
		case undelete.Gone:
			return errGone
		case undelete.Blocked:
			err = errLeft
		}
	}
	return err
}
