// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// Examination writes what doctor has found. What is well and alike is one line, unless everything is asked for.
func Examination(out io.Writer, found []answers.Finding, style Style) {
	p := newPrinter(out, style)
	width := 0
	for _, f := range found {
		width = max(width, columns(f.Check))
	}
	count := map[answers.Severity]int{}
	for i, f := range found {
		count[f.Severity]++
		if f.Severity == answers.OK && !style.Wide {
			alike := alikeOf(found, f)
			if alike[0] != i {
				continue
			}
			if len(alike) > 1 {
				f.About = fmt.Sprintf("%d of them", len(alike))
			}
		}
		p.finding(f, width)
	}
	p.line("")
	p.wrapped("", "", fmt.Sprintf("%d ✔, %d !, %d ✘. %s", count[answers.OK], count[answers.Warning], count[answers.Error], verdict(count)))
}

// alikeOf are the numbers of those that are well and say the same.
func alikeOf(found []answers.Finding, of answers.Finding) []int {
	var alike []int
	for i, f := range found {
		if f.Severity == answers.OK && f.Check == of.Check && f.Message == of.Message {
			alike = append(alike, i)
		}
	}
	return alike
}

func (p *printer) finding(f answers.Finding, width int) {
	colour := map[answers.Severity]string{answers.OK: green, answers.Warning: yellow, answers.Error: red}[f.Severity]
	head := p.coloured(colour, f.Severity.Mark()) + " " + f.Check + strings.Repeat(" ", width-columns(f.Check)) + "  "
	indent := strings.Repeat(" ", columns(head))
	about := f.About
	if f.Node != "" && (f.Severity != answers.OK || p.style.Wide) {
		about += " (seen from " + f.Node + ")"
	}
	p.wrapped(head, indent, about+": "+f.Message)
	if f.Cure == "" {
		return
	}
	if f.Where != "" {
		p.wrapped(indent+"→ ", indent+"  ", f.Where+":")
		p.line("%s  %s", indent, p.coloured(bold, f.Cure))
		return
	}
	p.wrapped(indent+"→ ", indent+"  ", f.Cure)
}

func verdict(count map[answers.Severity]int) string {
	switch {
	case count[answers.Error] > 0:
		return "Something does not work: begin with the first ✘."
	case count[answers.Warning] > 0:
		return "Everything works, and something may not always."
	}
	return "All is well."
}
