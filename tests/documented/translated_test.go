// SPDX-License-Identifier: Apache-2.0

package documented

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// comment is a remark behind a command, which is translated.
var comment = regexp.MustCompile(`\s+# .*$`)

// examples are the lines of all examples below one of these headings, or of the whole page where there is none, without
// remarks.
func examples(text string, headings ...string) []string {
	var found []string
	fenced, below := false, len(headings) == 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case !fenced && strings.HasPrefix(line, "#") && len(headings) > 0:
			below = slices.Contains(headings, strings.TrimLeft(line, "# "))
		case fenced && below:
			found = append(found, comment.ReplaceAllString(line, ""))
		}
	}
	return found
}

// Who installs by the Chinese pages runs what he would run by the English ones.
func TestTheChinesePagesHaveTheSameCommands(t *testing.T) {
	root := root(t)
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, pages := range map[string]struct{ english, chinese []string }{
		"README.md":       {examples(read("README.md"), "Try it"), examples(read("README.zh-CN.md"), "试一试")},
		"docs/install.md": {examples(read("docs/install.md")), examples(read("docs/zh-CN/install.md"))},
	} {
		t.Run(name, func(t *testing.T) {
			english := pages.english
			if name == "README.md" { // what make demo prints is not repeated; of installing, the first example is
				english = append(english[:2:2], examples(read(name), "Install")[:4]...)
				pages.chinese = append(pages.chinese, examples(read("README.zh-CN.md"), "安装")...)
			}
			if len(english) < 4 || !slices.Equal(english, pages.chinese) {
				t.Errorf("the commands differ:\n%s\n\nin Chinese:\n%s", strings.Join(english, "\n"), strings.Join(pages.chinese, "\n"))
			}
		})
	}
}
