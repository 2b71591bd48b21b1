// SPDX-License-Identifier: Apache-2.0

package documented

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whatever a page of this repository names is there: what it links to, with the heading, tests, and targets of the Makefile.
func TestWhatPagesNameIsThere(t *testing.T) {
	root := root(t)
	texts, err := files(root, ".md")
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]document{}
	for name, text := range texts {
		pages[name] = parse(name, text)
	}
	if len(pages) < 10 || len(pages["README.md"].links) == 0 {
		t.Fatalf("%d pages were found below %s", len(pages), root)
	}
	sources, err := files(root, "_test.go")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	tests, targets := all(sources, function), all(map[string]string{"Makefile": string(makefile)}, target)
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		page := pages[name]
		for _, to := range page.missing(root, pages) {
			t.Errorf("%s links to %s, which is not there", name, to)
		}
		for _, test := range page.tests {
			if !exists(tests, test) {
				t.Errorf("%s names %s, which is no test", name, test)
			}
		}
		for _, made := range page.targets {
			if !targets[made] {
				t.Errorf("%s has `make %s`, which is no target of the Makefile", name, made)
			}
		}
	}
}

// exists says whether there is such a test, or, of a name that ends with …, one that begins so.
func exists(tests map[string]bool, name string) bool {
	prefix, open := strings.CutSuffix(name, "…")
	if !open {
		return tests[name]
	}
	for test := range tests {
		if strings.HasPrefix(test, prefix) {
			return true
		}
	}
	return false
}

func TestAPageIsRead(t *testing.T) {
	const text = "# One `two`: three!\n\n" +
		"See [there](other.md#part), ![a picture](img/a.svg), [the web](https://example.org/x.md), [here](#one-two-three).\n" +
		"Held by `TestSomething` and TestWhatBegins…; not by Testing. Run `make quick lint` or `make bench BENCH=x`.\n\n" +
		"## 问题\n## Part\n## Part\n\n```sh\nmake demo     # see [not a link](nowhere)\n# no heading\n```\n"
	page := parse("docs/page.md", text)
	if want := []string{"other.md#part", "img/a.svg", "#one-two-three"}; !slices.Equal(page.links, want) {
		t.Errorf("links %q, want %q", page.links, want)
	}
	if want := []string{"TestSomething", "TestWhatBegins…"}; !slices.Equal(page.tests, want) {
		t.Errorf("tests %q, want %q", page.tests, want)
	}
	if want := []string{"quick", "lint", "bench", "demo"}; !slices.Equal(page.targets, want) {
		t.Errorf("targets %q, want %q", page.targets, want)
	}
	if want := []string{"one-two-three", "part", "part-1", "问题"}; !slices.Equal(slices.Sorted(maps.Keys(page.anchors)), want) {
		t.Errorf("anchors %q, want %q", slices.Sorted(maps.Keys(page.anchors)), want)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "other.md"), []byte("# Part\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pages := map[string]document{"other.md": parse("other.md", "# Part\n")}
	page := parse("page.md", "[a](other.md) [b](other.md#part) [c](other.md#gone) [d](gone.md) [e](#gone)\n")
	pages["page.md"] = page
	if got, want := page.missing(root, pages), []string{"other.md#gone", "gone.md", "#gone"}; !slices.Equal(got, want) {
		t.Errorf("missing %q, want %q", got, want)
	}
	tests := map[string]bool{"TestOne": true, "TestTwoThings": true}
	for name, want := range map[string]bool{"TestOne": true, "TestTwo": false, "TestTwo…": true, "TestThree…": false} {
		if exists(tests, name) != want {
			t.Errorf("%s exists: %t", name, !want)
		}
	}
}
