// SPDX-License-Identifier: Apache-2.0

package documented

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var (
	// uses is an action that a workflow runs; pinned is how it has to be named: by a commit, which nobody can move.
	uses   = regexp.MustCompile(`(?m)uses: *(.*)$`)
	pinned = regexp.MustCompile(`^[\w.-]+(?:/[\w.-]+)+@[0-9a-f]{40} # v[0-9.]+$`)
	// run is a make target in a workflow.
	run = regexp.MustCompile(`(?m)(?:run: |&& |\$\()make (?:--no-print-directory )?([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*)`)
)

func TestWorkflowsRunPinnedActionsAndTargetsThatAreThere(t *testing.T) {
	root := root(t)
	workflows, err := files(filepath.Join(root, ".github/workflows"), ".yml")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := all(map[string]string{"Makefile": string(makefile)}, target)
	if len(workflows) == 0 || len(targets) == 0 {
		t.Fatalf("%d workflows, %d targets", len(workflows), len(targets))
	}
	for name, text := range workflows {
		for _, match := range uses.FindAllStringSubmatch(text, -1) {
			if !pinned.MatchString(match[1]) {
				t.Errorf("%s: %q is not pinned as OWNER/NAME@COMMIT # vVERSION", name, match[1])
			}
		}
		for _, match := range run.FindAllStringSubmatch(text, -1) {
			for _, made := range strings.Fields(match[1]) {
				if !targets[made] {
					t.Errorf("%s: make %s is no target of the Makefile", name, made)
				}
			}
		}
	}
}

// Each module's dependencies are kept up to date.
func TestDependabotKnowsEveryModule(t *testing.T) {
	root := root(t)
	modules, err := files(root, "go.mod")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, ".github/dependabot.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Updates []struct {
			Ecosystem   string   `json:"package-ecosystem"`
			Directories []string `json:"directories"`
		} `json:"updates"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, update := range config.Updates {
		for _, dir := range update.Directories {
			known[dir] = update.Ecosystem == "gomod"
		}
	}
	there := map[string]bool{}
	for name := range modules {
		there[path.Join("/", path.Dir(name))] = true
	}
	if got, want := slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(there)); !slices.Equal(got, want) {
		t.Errorf("dependabot.yml has the modules %q, there are %q", got, want)
	}
}
