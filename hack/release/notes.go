// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// relative is a link into the repository, which leads nowhere on the page of a release.
var relative = regexp.MustCompile(`\]\(([^():]+)\)`)

// notesOf is the part of the changelog about this version, with its links made to lead into the tag.
func notesOf(file, number string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	_, after, found := strings.Cut(string(text), "\n## "+number+"\n")
	if !found {
		return "", fmt.Errorf("%s has no heading ## %s", file, number)
	}
	part, _, _ := strings.Cut(after, "\n## ")
	if strings.TrimSpace(part) == "" {
		return "", fmt.Errorf("%s says nothing below ## %s", file, number)
	}
	const tree = "https://github.com/glusterfs-csi/glusterfs-csi/blob/v"
	return strings.TrimSpace(relative.ReplaceAllString(part, "]("+tree+number+"/$1)")) + "\n", nil
}
