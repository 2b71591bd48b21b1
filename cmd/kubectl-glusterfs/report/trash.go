// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/undelete"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// Trash writes what is in the trash, in the given order, of a namespace or ("") of all.
func Trash(out io.Writer, entries []answers.TrashEntry, namespace string, style Style) {
	p := newPrinter(out, style)
	if len(entries) == 0 {
		if namespace == "" {
			p.line("Nothing is in the trash.")
		} else {
			p.line("Nothing of namespace %s is in the trash; -A shows all.", namespace)
		}
		return
	}
	t := table{header: []string{"CLAIM", "CAPACITY", "DELETED", "DUE", "RESTORABLE"}}
	if style.Wide {
		t.header = append(t.header, "ENTRY", "PATH")
	}
	others := style.Wide && slices.ContainsFunc(entries, func(e answers.TrashEntry) bool { return e.Others })
	if others {
		t.header = append(t.header, "KUBERNETES")
	}
	for _, e := range entries {
		restorable := "yes"
		if e.Unrestorable != "" {
			restorable = p.coloured(red, "no: "+e.Unrestorable)
		}
		claim := claimName(e.MadeFor)
		if e.Others {
			claim += " (elsewhere)" // a claim of another Kubernetes cluster
		}
		row := []string{claim, bytes(e.Capacity), ago(e.Deleted), due(e), restorable}
		if style.Wide {
			row = append(row, e.Entry, e.Path)
		}
		if others {
			row = append(row, or(e.Kubernetes))
		}
		t.rows = append(t.rows, row)
	}
	p.table(t)
}

func claimName(m *answers.MadeFor) string {
	if m == nil {
		return "-"
	}
	return m.Namespace + "/" + m.Claim
}

func ago(when time.Time) string { return duration.HumanDuration(time.Since(when)) + " ago" }

func due(e answers.TrashEntry) string {
	left := time.Until(e.Due)
	switch {
	case e.Held:
		return "held"
	case left <= 0:
		return "now"
	}
	return "in " + duration.HumanDuration(left)
}

func bytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return resource.NewQuantity(n, resource.BinarySI).String()
}

// Undeletion writes what was done about claims, or what would be.
func Undeletion(out io.Writer, plan []*undelete.Target, style Style) {
	p := newPrinter(out, style)
	if len(plan) == 0 {
		p.line("Nothing is to bring back.")
		return
	}
	t := table{header: []string{"CLAIM", "CAPACITY", "CLASS", "POLICY", "DELETED", "STATE"}}
	if style.Wide {
		t.header = append(t.header, "PERSISTENT VOLUME", "FROM")
	}
	for _, target := range plan {
		row := []string{target.String(), "-", or(target.Class), or(target.Policy), "-", p.state(target.State)}
		from := target.From
		if from != nil {
			row[1] = bytes(from.Capacity)
			if from.Deleted != nil {
				row[4] = ago(*from.Deleted)
			}
		}
		if style.Wide && from != nil {
			row = append(row, from.Name, from.Entry)
		} else if style.Wide {
			row = append(row, "-", "-")
		}
		t.rows = append(t.rows, row)
	}
	p.table(t)
	for _, target := range plan {
		p.explain(target)
	}
}

func (p *printer) state(s undelete.State) string {
	switch s {
	case undelete.Blocked:
		return p.coloured(yellow, string(s))
	case undelete.Gone:
		return p.coloured(red, string(s))
	}
	return p.coloured(green, string(s))
}

// explain says what a table cannot.
func (p *printer) explain(t *undelete.Target) {
	if t.State != undelete.There && (t.Reason != "" || len(t.Notes)+len(t.Others) > 0) {
		p.head(t.String())
	}
	if t.State == undelete.Blocked || t.State == undelete.Gone {
		p.wrapped("  ", "  ", t.Reason)
		if t.Cure != "" {
			p.wrapped("  → ", "    ", t.Cure)
		}
	}
	if t.State == undelete.There {
		return
	}
	for _, note := range t.Notes {
		p.wrapped("  ", "  ", note)
	}
	if len(t.Others) > 0 {
		p.wrapped("  ", "  ", fmt.Sprintf("older ones of this claim, for --entry: %d", len(t.Others)))
	}
	for _, c := range t.Others {
		line := "    " + c.Entry
		if c.Unrestorable != "" {
			line += " (" + c.Unrestorable + ")"
		}
		p.line("%s", line)
	}
}
