// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/recovery"
)

// Recovery writes what was made again of a Kubernetes cluster's objects, or what would be.
func Recovery(out io.Writer, plan *recovery.Plan, style Style) {
	p := newPrinter(out, style)
	if len(plan.Volumes) == 0 {
		p.line("Nothing of this Kubernetes cluster is on the Gluster volumes, of what was asked for.")
	} else {
		p.recoveredVolumes(plan)
	}
	if len(plan.Snapshots) > 0 {
		p.recoveredSnapshots(plan)
	}
	for _, t := range plan.Volumes {
		p.left(t.String(), t.State, t.Reason, t.Cure, t.Notes)
	}
	for _, s := range plan.Snapshots {
		p.left("snapshot "+s.String(), s.State, s.Reason, s.Cure, nil)
	}
	p.recoveryNotes(plan)
}

func (p *printer) recoveredVolumes(plan *recovery.Plan) {
	t := table{header: []string{"CLAIM", "CAPACITY", "CLASS", "POLICY", "VOLUME MADE", "STATE"}}
	if p.style.Wide {
		t.header = append(t.header, "PERSISTENT VOLUME", "VOLUME")
	}
	for _, target := range plan.Volumes {
		claim := target.String()
		if target.Claim == "" {
			claim = "-"
		}
		row := []string{claim, bytes(target.Capacity), or(target.Class), or(target.Policy), ago(target.Created), p.recovered(target.State, target.Missing)}
		if p.style.Wide {
			row = append(row, target.Name, target.Volume)
		}
		t.rows = append(t.rows, row)
	}
	p.table(t)
}

func (p *printer) recoveredSnapshots(plan *recovery.Plan) {
	t := table{header: []string{"SNAPSHOT", "CLASS", "POLICY", "MADE", "STATE"}}
	if p.style.Wide {
		t.header = append(t.header, "CONTENT", "HANDLE")
	}
	for _, s := range plan.Snapshots {
		row := []string{s.String(), or(s.Class), or(s.Policy), ago(s.Created), p.recovered(s.State, s.Missing)}
		if p.style.Wide {
			row = append(row, s.Content, s.Handle)
		}
		t.rows = append(t.rows, row)
	}
	p.table(t)
}

// recovered is a state, with what is missing.
func (p *printer) recovered(state recovery.State, missing []string) string {
	switch state {
	case recovery.Missing:
		text := p.coloured(green, string(state))
		if p.style.Wide || len(missing) == 1 { // else it is all of it
			text += ": " + strings.Join(missing, ", ")
		}
		return text
	case recovery.Differs, recovery.Blocked:
		return p.coloured(yellow, string(state))
	}
	return p.coloured(green, string(state))
}

// left says what a table cannot.
func (p *printer) left(what string, state recovery.State, reason, cure string, notes []string) {
	isLeft := state == recovery.Differs || state == recovery.Blocked
	if !isLeft && (len(notes) == 0 || state == recovery.There) {
		return
	}
	p.head(what)
	if isLeft {
		p.wrapped("  ", "  ", reason)
		if cure != "" {
			p.wrapped("  → ", "    ", cure)
		}
	}
	for _, note := range notes {
		p.wrapped("  ", "  ", note)
	}
}

// recoveryNotes says how many there are, and what is beside them.
func (p *printer) recoveryNotes(plan *recovery.Plan) {
	count := map[recovery.State]int{}
	for _, t := range plan.Volumes {
		count[t.State]++
	}
	for _, s := range plan.Snapshots {
		count[s.State]++
	}
	p.head(fmt.Sprintf("%d to make, %d made, %d there, %d that differ, %d blocked.",
		count[recovery.Missing], count[recovery.Made], count[recovery.There], count[recovery.Differs], count[recovery.Blocked]))
	for _, e := range plan.Elsewhere {
		p.wrapped("", "", fmt.Sprintf("Kubernetes cluster %s has volumes here (%d) and deleted ones (%d), which are left. If it is gone for good:", e.Kubernetes, e.Volumes, e.Trash))
		p.line("  kubectl glusterfs recover --take-over %s", e.Kubernetes)
	}
	if plan.Trash > 0 {
		p.wrapped("", "", fmt.Sprintf("Deleted volumes in the trash (kubectl glusterfs trash -A): %d.", plan.Trash))
	}
	for _, note := range plan.Notes {
		p.wrapped("", "", note)
	}
	if count[recovery.Missing] > 0 {
		if len(plan.Namespaces) > 0 {
			p.wrapped("", "", "Namespaces to make, without labels and quotas, which nobody knows: "+strings.Join(plan.Namespaces, ", ")+".")
		}
		again := "kubectl glusterfs recover --apply"
		if plan.TakeOver != "" {
			again = "kubectl glusterfs recover --take-over " + plan.TakeOver + " --apply"
		}
		p.line("Next, with what else was said here:")
		p.line("  %s", again)
	}
}
