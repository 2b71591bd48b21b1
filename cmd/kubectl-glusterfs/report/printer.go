// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// What a terminal shows in colour.
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

type printer struct {
	out   io.Writer
	style Style
	begun bool
}

func newPrinter(out io.Writer, style Style) *printer {
	if style.Width == 0 {
		style.Width = defaultWidth
	}
	return &printer{out: out, style: style}
}

func (p *printer) line(format string, args ...any) {
	p.begun = true
	fmt.Fprintf(p.out, format+"\n", args...)
}

// head begins a part.
func (p *printer) head(text string) {
	if p.begun {
		p.line("")
	}
	p.line("%s", p.coloured(bold, text))
}

func (p *printer) coloured(colour, text string) string {
	if !p.style.Colour || colour == "" {
		return text
	}
	return colour + text + plain
}

func (p *printer) action(action migrate.Action) string {
	switch action {
	case migrate.Blocked:
		return p.coloured(red, string(action))
	case migrate.Leave:
		return p.coloured(yellow, string(action))
	}
	return p.coloured(green, string(action))
}

// wrapped writes a text in lines of the width; a word that is longer has a line of its own, unbroken, so that it can be
// copied.
func (p *printer) wrapped(first, then, text string) {
	line, isEmpty := first, true
	for _, word := range strings.Fields(text) {
		if !isEmpty && columns(line)+1+columns(word) > p.style.Width {
			p.line("%s", line)
			line, isEmpty = then, true
		}
		if !isEmpty {
			line += " "
		}
		line, isEmpty = line+word, false
	}
	p.line("%s", line)
}

// columns is how many a text takes, colours apart.
func columns(text string) int {
	for _, code := range []string{red, yellow, green, bold, plain} {
		text = strings.ReplaceAll(text, code, "")
	}
	return utf8.RuneCountInString(text)
}

// table is aligned where it fits the width, and otherwise one block for each row.
type table struct {
	header []string
	rows   [][]string
}

func (p *printer) table(t table) {
	if p.begun {
		p.line("")
	}
	widths := make([]int, len(t.header))
	total := 2 * (len(t.header) - 1)
	for i := range t.header {
		for _, row := range append([][]string{t.header}, t.rows...) {
			widths[i] = max(widths[i], columns(row[i]))
		}
		total += widths[i]
	}
	if total > p.style.Width && !p.style.Wide {
		p.blocks(t)
		return
	}
	for i, row := range append([][]string{t.header}, t.rows...) {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", widths[i]-columns(cell)+2)
		}
		line = strings.TrimRight(line, " ")
		if i == 0 {
			line = p.coloured(bold, line)
		}
		p.line("%s", line)
	}
}

// blocks writes each row as a line with its first cell, and below it one line for each other.
func (p *printer) blocks(t table) {
	names := 0
	for _, name := range t.header[1:] {
		names = max(names, columns(name))
	}
	for _, row := range t.rows {
		p.line("%s %s", p.coloured(bold, t.header[0]), row[0])
		for i, cell := range row[1:] {
			p.line("  %-*s  %s", names, strings.ToLower(t.header[i+1]), cell)
		}
	}
}

func or(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func lower(text string) string { return strings.ToLower(text) }

func field(object map[string]any, path ...string) string {
	value, found, err := unstructured.NestedFieldNoCopy(object, path...)
	if !found || err != nil {
		return ""
	}
	return fmt.Sprint(value)
}

func modes(object map[string]any) string {
	list, _, _ := unstructured.NestedStringSlice(object, "spec", "accessModes")
	short := map[string]string{"ReadWriteOnce": "RWO", "ReadWriteMany": "RWX", "ReadOnlyMany": "ROX", "ReadWriteOncePod": "RWOP"}
	for i, mode := range list {
		if s, ok := short[mode]; ok {
			list[i] = s
		}
	}
	return strings.Join(list, ",")
}
