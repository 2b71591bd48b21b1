// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/dump"
)

// Dump writes what is in a bundle, and what is not.
func Dump(out io.Writer, index dump.Index, file string, style Style) {
	p := newPrinter(out, style)
	p.line("%s", file)
	p.head("What is in it")
	width := 0
	for _, f := range index.Files {
		width = max(width, columns(path.Base(f.Path)))
	}
	dir := ""
	for _, f := range index.Files {
		if d := path.Dir(f.Path); d != "." && d != dir {
			dir = d
			p.line("%s/", d)
		}
		indent := ""
		if path.Dir(f.Path) != "." {
			indent = "  "
		}
		line := fmt.Sprintf("%s%-*s  %8s", indent, width+len("  ")-len(indent), path.Base(f.Path), textSize(f.Bytes))
		p.line("%s%s", line, ofFile(f, style.Wide))
	}
	if len(index.Missing) > 0 {
		p.head("What is missing")
		for _, m := range index.Missing {
			p.wrapped(p.coloured(yellow, "! "), "  ", m.What+": "+m.Why)
		}
	}
	p.head("What no bundle has")
	for _, l := range index.LeftOut {
		p.wrapped("- ", "  ", l)
	}
	p.line("")
	p.wrapped("", "", fmt.Sprintf("%d files, %s of at most %s, %d missing. Look through it before you hand it on.", len(index.Files), textSize(index.Bytes), textSize(index.Limit), len(index.Missing)))
}

// ofFile is what a file has not.
func ofFile(f dump.File, wide bool) string {
	var notes []string
	if f.Cut > 0 {
		notes = append(notes, textSize(f.Cut)+" before are cut")
	}
	if f.Reduced > 0 && wide {
		notes = append(notes, fmt.Sprintf("%d lines are not whole", f.Reduced))
	}
	if len(notes) == 0 {
		return ""
	}
	return "  " + strings.Join(notes, "; ")
}

// textSize is a size as a person reads it.
func textSize(n int64) string {
	const step = 1024
	size, units := float64(n), []string{"B", "KiB", "MiB", "GiB"}
	for len(units) > 1 && size >= step {
		size /= step
		units = units[1:]
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", size), ".0") + " " + units[0]
}
