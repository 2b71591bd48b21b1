// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/doctor"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

// What doctor, which did not fail, has found.
var (
	errWarned = errors.New("not all is well")
	errUnwell = errors.New("something does not work")
)

func doctorCommand(shared *sharedFlags) *cobra.Command {
	var o output
	var kubeletDir string
	var volumes bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look at what the driver needs on this host: servers, bricks, kernel, mounts",
		Long: `Look at what the driver needs on this host: the clusters file, servers and bricks as
this host reaches them, the options of the Gluster volumes, the kernel, mounts. It
changes nothing. "kubectl glusterfs doctor" runs it in the driver's pods.

Exit codes: 0 all is well, 1 it could not look, 2 wrong usage, 3 the worst is !, 4 the
worst is ✘.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			onlyErrors()
			found := doctor.Host{ClustersFile: shared.clusters, StateDir: shared.stateDir, KubeletDir: kubeletDir}.Check(c.Context())
			if volumes {
				found = append(found, lookAtVolumes(c.Context(), shared)...)
			}
			if err := write(c.OutOrStdout(), o, found, []string{"", "CHECK", "ABOUT", "FINDING", "CURE"}, func(f answers.Finding) []string {
				return []string{f.Severity.Mark(), f.Check, f.About, line(f.Message), line(cmp.Or(f.Cure, "-"))}
			}); err != nil {
				return err
			}
			return worst(found)
		},
	}
	o.add(c)
	c.Flags().StringVar(&kubeletDir, "kubelet-dir", "", "root directory of kubelet, as /var/lib/kubelet, to look at it, too")
	c.Flags().BoolVar(&volumes, "volumes", false, "look at space, records and directories of the Gluster volumes, too, by a client")
	return c
}

// worst is nil where all is well.
func worst(found []answers.Finding) error {
	has := func(s answers.Severity) bool {
		return slices.ContainsFunc(found, func(f answers.Finding) bool { return f.Severity == s })
	}
	switch {
	case has(answers.Error):
		return errUnwell
	case has(answers.Warning):
		return errWarned
	}
	return nil
}

// lookAtVolumes is what a client of the Gluster volumes sees. One that is silent holds up no other.
func lookAtVolumes(ctx context.Context, shared *sharedFlags) []answers.Finding {
	var found []answers.Finding
	err := withVolumes(ctx, shared, func(ctx context.Context, m *manager.Manager, volumes []gluster.Volume) error {
		all, err := fromEach(ctx, volumes, func(ctx context.Context, v gluster.Volume) ([]answers.Finding, error) {
			return lookAtVolume(ctx, m, v), nil
		})
		found = all
		return err
	})
	if err != nil && found == nil {
		found = append(found, answers.Finding{Check: "client", Severity: answers.Error, About: "this host", Message: err.Error()})
	}
	return found
}

// Parts of a Gluster volume that are free.
const (
	littleSpace = 10 // in a hundred
	noSpace     = 5  // the trash is emptied before its time
)

func lookAtVolume(ctx context.Context, m *manager.Manager, v gluster.Volume) []answers.Finding {
	asked, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	available, total, err := m.Capacity(asked, v)
	if err != nil {
		return []answers.Finding{{Check: "client", Severity: answers.Error, About: v.String(), Message: "no client can use it: " + err.Error()}}
	}
	space := answers.Finding{Check: "space", Severity: answers.OK, About: v.String(), Message: fmt.Sprintf("%s of %s are free", bytesIEC(available), bytesIEC(total))}
	if free := available * 100 / max(total, 1); free < littleSpace {
		space.Severity, space.Cure, space.Where = answers.Warning, "glusterfs-csi trash purge --older-than 1h --yes   # or add bricks", "in the controller"
		if free < noSpace {
			space.Severity = answers.Error
			space.Message += "; the trash is emptied before its time, and claims are refused soon"
		}
	}
	problems, err := m.Check(ctx, v, false)
	found := []answers.Finding{space}
	for _, p := range problems {
		f := answers.Finding{Check: "records", Severity: answers.Error, About: v.String() + "/" + p.Subject, Message: string(p.Kind) + ": " + p.Why, Cure: p.Cure}
		if p.Repairable() {
			f.Severity, f.Cure, f.Where = answers.Warning, "glusterfs-csi volume check --repair", "in the controller"
		}
		found = append(found, f)
	}
	switch {
	case err != nil:
		found = append(found, answers.Finding{Check: "records", Severity: answers.Error, About: v.String(), Message: err.Error()})
	case len(problems) == 0:
		found = append(found, answers.Finding{Check: "records", Severity: answers.OK, About: v.String(), Message: "records and directories belong together"})
	}
	return found
}
