// SPDX-License-Identifier: Apache-2.0

package documented

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	// link is [text](target), or ![text](target).
	link = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	// named is the name of a test, fuzz target or benchmark. One that ends with … stands for all that begin so.
	named = regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z]\w+)(…)?`)
	// made is a target of the Makefile, in code: `make quick`, or a line of an example.
	made = regexp.MustCompile("(?:`|^(?:sudo )?)make ([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*)")
	// function is a test's declaration, target a Makefile's rule.
	function = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	target   = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
)

// document is what a page says that must be there.
type document struct {
	name           string          // below the root of the module
	anchors        map[string]bool // of its headings
	links          []string        // but those of the web
	tests, targets []string
}

// parse reads a page. A fenced example has commands and names, and no links or headings.
func parse(name, text string) document {
	page := document{name: name, anchors: map[string]bool{}}
	fenced := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		for _, match := range named.FindAllStringSubmatch(line, -1) {
			page.tests = append(page.tests, match[1]+match[2])
		}
		for _, match := range made.FindAllStringSubmatch(line, -1) {
			page.targets = append(page.targets, strings.Fields(match[1])...)
		}
		if fenced {
			continue
		}
		if strings.HasPrefix(line, "#") {
			page.addAnchor(strings.TrimLeft(line, "# "))
		}
		for _, match := range link.FindAllStringSubmatch(line, -1) {
			if !strings.Contains(match[1], "://") {
				page.links = append(page.links, match[1])
			}
		}
	}
	return page
}

// addAnchor makes a heading's anchor as GitHub does: lower case, hyphens for spaces, no punctuation, a number where there is one already.
func (d *document) addAnchor(heading string) {
	anchor := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
	unique := anchor
	for i := 1; d.anchors[unique]; i++ {
		unique = fmt.Sprintf("%s-%d", anchor, i)
	}
	d.anchors[unique] = true
}

// missing is what the page links to and is not there.
func (d *document) missing(root string, pages map[string]document) []string {
	var found []string
	for _, to := range d.links {
		file, anchor, _ := strings.Cut(to, "#")
		name := d.name
		if file != "" {
			name = path.Join(path.Dir(d.name), file)
		}
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			found = append(found, to)
		} else if page, ok := pages[name]; anchor != "" && !(ok && page.anchors[anchor]) {
			found = append(found, to)
		}
	}
	return found
}

// files reads all that have one of these endings, below a directory, by their names. What was built is none of the repository's.
func files(root string, endings ...string) (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(root, func(where string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, where)
		if err != nil {
			return err
		}
		if entry.IsDir() && (name == "bin" || name == ".git") {
			return fs.SkipDir
		}
		if entry.IsDir() || !slices.ContainsFunc(endings, func(ending string) bool { return strings.HasSuffix(name, ending) }) {
			return nil
		}
		data, err := os.ReadFile(where)
		found[filepath.ToSlash(name)] = string(data)
		return err
	})
	return found, err
}

// all are the first groups of a pattern in all of these files.
func all(files map[string]string, pattern *regexp.Regexp) map[string]bool {
	found := map[string]bool{}
	for _, text := range files {
		for _, match := range pattern.FindAllStringSubmatch(text, -1) {
			found[match[1]] = true
		}
	}
	return found
}
