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

// tree is followed by a version without v, and by a path in the repository.
const tree = "https://github.com/glusterfs-csi/glusterfs-csi/blob/v"

// head is what somebody needs who has only the release's page.
const head = `# glusterfs-csi v%[1]s

A CSI driver: Kubernetes volumes that are directories of GlusterFS volumes. To install it from these files: [From a release](%[2]s/docs/install.md#from-a-release).

The image is ` + "`glusterfs-csi-v%[1]s-image.tar`, the chart `glusterfs-csi-%[1]s.tgz`, the manifests and examples `glusterfs-csi-v%[1]s-manifests.tar.gz`, the kubectl plugin `kubectl-glusterfs_OS_ARCH.tar.gz`" + `;
[what each file is](%[2]s/docs/releases.md#what-a-release-consists-of).

## What is new

`

// notesOf is the part of the changelog about this version, with its links made to lead into the tag, and
// ahead of it what the release is.
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
	return fmt.Sprintf(head, number, tree+number) + strings.TrimSpace(relative.ReplaceAllString(part, "]("+tree+number+"/$1)")) + "\n", nil
}
