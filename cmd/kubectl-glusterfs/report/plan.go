// SPDX-License-Identifier: Apache-2.0

// Package report writes plans as text for a terminal.
package report

import (
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// defaultWidth is that of text that goes to no terminal, in columns.
const defaultWidth = 80

// Style is how a report looks.
type Style struct {
	Width       int // columns; 0 is 80
	Colour      bool
	Wide        bool
	IsInstalled bool // the driver is, or nobody knows
}

// Plan writes a plan: what there is, what takes its place, what to stop first, what is left to do, and what is next.
func Plan(out io.Writer, plan *migrate.Plan, style Style) {
	p := newPrinter(out, style)
	if len(plan.Volumes)+len(plan.Inline) == 0 {
		p.line("Nothing is of the old plugin.")
		p.findings(plan)
		return
	}
	p.volumes(plan)
	p.inline(plan)
	p.clusters(plan)
	p.workloads(plan)
	p.findings(plan)
	p.next(plan, style.IsInstalled)
}

func (p *printer) volumes(plan *migrate.Plan) {
	if len(plan.Volumes) == 0 {
		return
	}
	t := table{header: []string{"VOLUME", "CLAIM", "DATA", "ACTION"}}
	if p.style.Wide {
		t.header = append(t.header, "PHASE", "CLASS", "CAPACITY", "MODES", "OPTIONS", "ENDPOINTS", "SOURCE")
	}
	for _, v := range plan.Volumes {
		claim := "-"
		if v.Claim != nil {
			claim = v.Claim.Namespace + "/" + v.Claim.Name
		}
		row := []string{v.Name, claim, v.String(), p.action(v.Action)}
		if p.style.Wide {
			row = append(row, or(v.Phase), or(field(v.PersistentVolume, "spec", "storageClassName")), or(field(v.PersistentVolume, "spec", "capacity", "storage")),
				or(modes(v.PersistentVolume)), or(strings.Join(v.Options, ",")), or(v.Endpoints), or(v.Source))
		}
		t.rows = append(t.rows, row)
	}
	p.table(t)
}

func (p *printer) inline(plan *migrate.Plan) {
	if len(plan.Inline) == 0 {
		return
	}
	t := table{header: []string{"IN POD TEMPLATE OF", "VOLUME", "NEW CLAIM", "DATA", "ACTION"}}
	for _, i := range plan.Inline {
		claim := field(i.Entry, "persistentVolumeClaim", "claimName")
		t.rows = append(t.rows, []string{i.Workload.Kind + " " + i.Workload.Namespace + "/" + i.Workload.Name, i.Volume, or(claim), i.String(), p.action(i.Action)})
	}
	p.table(t)
}

func (p *printer) clusters(plan *migrate.Plan) {
	if len(plan.ClustersFile.Clusters) == 0 {
		return
	}
	isNew := false
	for _, c := range plan.Clusters {
		isNew = isNew || c.New
	}
	if !isNew {
		p.head("The driver's clusters file has all of it already.")
		return
	}
	p.head("The driver's clusters file, ConfigMap " + migrate.ClustersConfigMap + ":")
	for line := range strings.Lines(plan.ClustersFile.Text()) {
		p.line("  %s", strings.TrimRight(line, "\n"))
	}
}

func (p *printer) workloads(plan *migrate.Plan) {
	running := false
	for _, w := range plan.Workloads {
		running = running || !w.Stopped
	}
	if !running {
		return
	}
	p.head("Stop first, in this order; start again in the opposite one:")
	for i, w := range plan.Workloads {
		about := fmt.Sprintf("%s %s/%s", w.Kind, w.Namespace, w.Name)
		if w.Replicas != nil {
			about += fmt.Sprintf(" (replicas: %d)", *w.Replicas)
		}
		if w.Stopped {
			about += ", which is stopped"
		}
		p.line("  %d. %s: %s", i+1, about, strings.Join(w.Uses, ", "))
		switch {
		case w.Stop != "":
			p.line("     %s", w.Stop)
		case w.ByHand != "":
			p.wrapped("     ", "     ", w.ByHand)
		}
	}
}

func (p *printer) findings(plan *migrate.Plan) {
	for _, part := range []struct {
		severity   migrate.Severity
		head, sign string
		colour     string
	}{
		{migrate.Blocks, "Blocked:", "✘", red},
		{migrate.ByHand, "For you to do or decide:", "!", yellow},
		{migrate.Note, "To know:", "-", ""},
	} {
		before := ""
		for _, f := range plan.Findings {
			if f.Severity != part.severity {
				continue
			}
			if before == "" {
				p.head(part.head)
			}
			if about(f) != before {
				before = about(f)
				p.wrapped("  "+p.coloured(part.colour, part.sign)+" ", "    ", before)
			}
			p.wrapped("      ", "        ", f.Message)
			if f.Cure != "" {
				p.wrapped("        → ", "          ", f.Cure)
			}
		}
	}
	p.entries(plan)
}

// Line is a finding on one line.
func Line(f migrate.Finding) string {
	line := about(f) + ": " + f.Message
	if f.Cure != "" {
		line += " → " + f.Cure
	}
	return line
}

func about(f migrate.Finding) string {
	if f.Source != "" {
		return f.About + " (" + f.Source + ")"
	}
	return f.About
}

// entries are what goes into pod templates.
func (p *printer) entries(plan *migrate.Plan) {
	first := true
	for _, i := range plan.Inline {
		if i.Entry == nil {
			continue
		}
		if first {
			p.head("Entries for pod templates, under volumes:")
			first = false
		}
		p.line("  # %s", i.Workload)
		text, err := yaml.Marshal([]any{i.Entry})
		if err != nil {
			continue // a map of strings
		}
		for line := range strings.Lines(string(text)) {
			p.line("  %s", strings.TrimRight(line, "\n"))
		}
	}
}
