// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"slices"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// next says how many there are of each kind, and what to do now.
func (p *printer) next(plan *migrate.Plan, isInstalled bool) {
	count := map[migrate.Action]int{}
	for _, v := range plan.Volumes {
		count[v.Action]++
	}
	for _, i := range plan.Inline {
		count[i.Action]++
	}
	p.head(fmt.Sprintf("%d to replace, %d blocked, %d to leave as they are. No data is moved or deleted.", count[migrate.Replace], count[migrate.Blocked], count[migrate.Leave]))
	switch {
	case count[migrate.Replace] == 0:
	case !plan.Live:
		p.wrapped("", "", "Next: `kubectl glusterfs migrate --from-dir … --manifests` prints the new objects for a cluster without the old ones; "+
			"in one that has them, run `kubectl glusterfs migrate --apply`.")
	case !isInstalled:
		p.wrapped("", "", "Next: install the driver with this clusters file (docs/install.md), and repeat.")
	default:
		p.wrapped("", "", "Next: stop what is to be stopped, then `kubectl glusterfs migrate --apply`. `kubectl glusterfs migrate --rollback` takes it back.")
	}
}

// StopCommands writes how to stop what is in the way.
func StopCommands(out io.Writer, plan *migrate.Plan) {
	p := newPrinter(out, Style{})
	for _, w := range plan.Workloads {
		switch {
		case w.Stop != "":
			p.line("%s", w.Stop)
		case w.ByHand != "":
			p.line("%s: %s", w.Reference, w.ByHand)
		}
	}
}

// After writes what is left after a plan has been applied: what to start again, and what a person has to do.
func After(out io.Writer, plan *migrate.Plan, style Style) {
	p := newPrinter(out, style)
	first := true
	for _, w := range slices.Backward(plan.Workloads) {
		if w.Replicas == nil && w.ByHand == "" && w.Stop == "" {
			continue
		}
		if first {
			p.head("Start again, in this order:")
			first = false
		}
		switch {
		case w.Start != "":
			p.line("  %s", w.Start)
		case w.ByHand != "":
			p.line("  %s, by its own means", w.Reference)
		case w.Replicas != nil:
			p.line("  kubectl -n %s scale %s/%s --replicas=…   # as many as it had", w.Namespace, lower(w.Kind), w.Name)
		}
	}
	left := &migrate.Plan{Inline: plan.Inline}
	for _, f := range plan.Findings {
		if f.Severity != migrate.Note {
			left.Findings = append(left.Findings, f)
		}
	}
	p.findings(left)
}

// Name is how kubectl -o name prints an object.
func Name(object map[string]any) string {
	return lower(field(object, "kind")) + "/" + field(object, "metadata", "name")
}
