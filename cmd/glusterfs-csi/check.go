// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/check"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

// problemRow is a problem in JSON.
type problemRow struct {
	Problem check.Kind `json:"problem"`
	Subject string     `json:"subject"` // with its Gluster volume
	Path    string     `json:"path"`
	Why     string     `json:"why"`
	Repair  string     `json:"repair"` // what --repair does
	State   string     `json:"state"`
}

// The states of a problem.
const (
	stateFound    = "found"
	stateRepaired = "repaired"
)

func volumeCheck(shared *sharedFlags) *cobra.Command {
	var o output
	var repair bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Hold records and directories against each other, both ways",
		Long: `Hold records and directories of all volumes and snapshots against each other, both
ways. Nothing is changed unless --repair is given, and then no data is removed of a volume,
or of a snapshot that was complete and was not deleted.

Exit codes: 0 nothing is wrong (any more), 1 a Gluster volume could not be checked,
2 wrong usage, 3 something is wrong that is not repaired.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return withVolumes(c.Context(), shared, func(ctx context.Context, m *manager.Manager, volumes []gluster.Volume) error {
				rows, err := fromEach(ctx, volumes, func(ctx context.Context, v gluster.Volume) ([]problemRow, error) {
					return checkVolume(ctx, m, v, repair)
				})
				if err == nil { // all of them answer
					var twins []problemRow
					twins, err = twoVolumes(ctx, m, volumes)
					rows = append(rows, twins...)
				}
				header := []string{"PROBLEM", "VOLUME OR ENTRY", "PATH", "WHY", "REPAIR", "STATE"}
				err = errors.Join(err, write(c.OutOrStdout(), o, rows, header, func(r problemRow) []string {
					return []string{string(r.Problem), r.Subject, cmp.Or(r.Path, "-"), line(r.Why), line(r.Repair), line(r.State)}
				}))
				left := len(slices.DeleteFunc(rows, func(r problemRow) bool { return r.State == stateRepaired }))
				if err == nil && left > 0 {
					err = fmt.Errorf("%w: problems that are left: %d", errFound, left)
				}
				return err
			})
		},
	}
	o.add(c)
	c.Flags().BoolVar(&repair, "repair", false, "do what the column REPAIR says")
	return c
}

// line is a text in a table's cell.
func line(text string) string { return strings.NewReplacer("\n", "; ", "\t", " ").Replace(text) }

func checkVolume(ctx context.Context, m *manager.Manager, v gluster.Volume, repair bool) ([]problemRow, error) {
	// Whether it answers at all; the check itself takes as long as it takes.
	answers, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	if _, _, err := m.Capacity(answers, v); err != nil {
		return nil, err
	}
	problems, err := m.Check(ctx, v, repair)
	var rows []problemRow
	for _, p := range problems {
		row := problemRow{p.Kind, v.String() + "/" + p.Subject, p.Path, p.Why, p.Cure, stateFound}
		switch {
		case p.Failed != nil:
			row.State = "failed: " + p.Failed.Error()
		case p.Repaired:
			row.State = stateRepaired
		case repair && p.Repairable():
			row.State = "in use: check again"
		}
		rows = append(rows, row)
	}
	return rows, err
}

// twoVolumes finds names that have a volume on two Gluster volumes: a class that named another one when a creation was
// repeated. What is meant is known to Kubernetes alone.
func twoVolumes(ctx context.Context, m *manager.Manager, volumes []gluster.Volume) ([]problemRow, error) {
	type place struct {
		id   string
		path string
	}
	byName := map[string][]place{}
	for _, v := range volumes {
		rows, err := listVolumes(ctx, m, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v, err)
		}
		for _, r := range rows {
			// Two Kubernetes clusters may have volumes of one name.
			name := r.Kubernetes + "/" + r.ID[len(v.String())+1:]
			byName[name] = append(byName[name], place{r.ID, r.Path})
		}
	}
	var found []problemRow
	for _, places := range byName {
		if len(places) < 2 {
			continue
		}
		for _, at := range places {
			found = append(found, problemRow{
				Problem: check.TwoVolumes, Subject: at.id, Path: at.path, State: stateFound,
				Why:    fmt.Sprintf("its name has a volume on %d Gluster volumes", len(places)),
				Repair: "nothing: delete the one whose ID is the volumeHandle of no PersistentVolume, after a look at what is in it",
			})
		}
	}
	slices.SortFunc(found, func(a, b problemRow) int { return strings.Compare(a.Subject, b.Subject) })
	return found, nil
}
