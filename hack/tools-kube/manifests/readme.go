// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// undescribed is a row of the table of values that says nothing of its value.
var undescribed = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|\\s*\\|")

// readmeOf is what helm-docs makes of the chart's template and of the comments in values.yaml.
func readmeOf(root, chart string) (string, error) {
	path, err := exec.Command("go", "-C", filepath.Join(root, "hack/tools-chart"), "tool", "-n", "helm-docs").Output()
	if err != nil {
		return "", fmt.Errorf("build helm-docs: %w", err)
	}
	docs := exec.Command(strings.TrimSpace(string(path)), "--dry-run", "--sort-values-order=file", "--log-level=warning")
	docs.Dir = chart
	var stderr strings.Builder
	docs.Stderr = &stderr
	text, err := docs.Output()
	if err != nil || stderr.Len() > 0 { // a chart that it cannot read is a warning to it
		return "", errors.Join(fmt.Errorf("helm-docs: %s", stderr.String()), err)
	}
	if row := undescribed.FindStringSubmatch(string(text)); row != nil {
		return "", fmt.Errorf("values.yaml does not describe %s: a comment above it that begins with \"# -- \"", row[1])
	}
	return strings.TrimSpace(string(text)) + "\n", nil
}

// settleReadme writes the chart's README.md, or says that it is another one.
func settleReadme(root, chart string, check bool) error {
	made, err := readmeOf(root, chart)
	if err != nil {
		return err
	}
	file := filepath.Join(chart, "README.md")
	if !check {
		return os.WriteFile(file, []byte(made), 0o644)
	}
	have, err := os.ReadFile(file)
	if err == nil && string(have) != made {
		err = fmt.Errorf("%s is not what helm-docs makes of README.md.gotmpl and values.yaml: run `make manifests`", file)
	}
	return err
}
