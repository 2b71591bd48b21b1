// SPDX-License-Identifier: Apache-2.0

// Package documented holds the tables of docs/parameters.md and docs/monitoring.md to what exists: a test says which
// names there are, and fails if the page has one more or one less.
package documented

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const parameters = "docs/parameters.md"

// Compare is CompareOn for docs/parameters.md.
func Compare(t testing.TB, heading string, exist []string) {
	t.Helper()
	CompareOn(t, parameters, heading, exist)
}

// CompareOn fails the test unless the names in the first column of the table below a heading of the page are exactly
// these. The page is given below the root of the module, the heading without its hashes.
func CompareOn(t testing.TB, page, heading string, exist []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), page))
	if err != nil {
		t.Fatal(err)
	}
	listed := names(string(text), heading)
	if len(listed) == 0 {
		t.Fatalf("%s has no table below the heading %q", page, heading)
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(exist))) {
		if !slices.Contains(listed, name) {
			t.Errorf("%s does not list %s below %q", page, name, heading)
		}
	}
	for _, name := range listed {
		if !slices.Contains(exist, name) {
			t.Errorf("%s lists %s below %q, which does not exist", page, name, heading)
		}
	}
}

// name is one name in a cell.
var name = regexp.MustCompile("`([^`]+)`")

// names are what the first column of the first table below the heading has as code.
func names(text, heading string) []string {
	var found []string
	below := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "#"):
			below = strings.TrimSpace(strings.TrimLeft(line, "#")) == heading
		case below && strings.HasPrefix(line, "| "):
			for _, match := range name.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
				found = append(found, match[1])
			}
		case below && len(found) > 0:
			return found
		}
	}
	return found
}

// root is the directory of the module's go.mod, above the test's own.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("no go.mod above the test's directory (%v)", err)
	return ""
}
