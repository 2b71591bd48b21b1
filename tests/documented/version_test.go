// SPDX-License-Identifier: Apache-2.0

package documented

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// What is to be released has one version: in the chart, for the chart and for the image, in the changelog, and in examples.
func TestTheVersionIsTheSameEverywhere(t *testing.T) {
	root := root(t)
	said := map[string]bool{}
	for file, pattern := range map[string]string{
		"deploy/helm/glusterfs-csi/Chart.yaml": `(?m)^(?:version: |appVersion: v)(\S+)$`,
		// One that is being written may be above.
		"CHANGELOG.md":          `\A# Changelog\n\n(?:## Unreleased\n(?:[^#].*\n|\n)*)?## (\S+)\n`,
		"Dockerfile":            `VERSION=v(\S+)`,
		"docs/install.md":       `VERSION=v(\S+)`,
		"docs/zh-CN/install.md": `VERSION=v(\S+)`,
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s says no version", file)
		}
		for _, match := range found {
			t.Logf("%s: %s", file, match[1])
			said[match[1]] = true
		}
	}
	if len(said) != 1 {
		t.Errorf("the versions are %v: after a change of the chart's, make manifests", said)
	}
}
