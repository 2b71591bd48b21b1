// SPDX-License-Identifier: Apache-2.0

// Package pkg holds no code: its test keeps the packages below it in their order.
package pkg

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/glusterfs-csi/glusterfs-csi/"

// floors are the packages from the top down; those of one line know nothing of each other. docs/development.md draws them.
var floors = [][]string{
	{"cmd/glusterfs-csi"},
	{"pkg/driver"},
	{"pkg/kubelet", "pkg/mounter", "pkg/volume", "pkg/gluster/health", "pkg/gluster/repair"},
	{"pkg/gluster/client"},
	{"pkg/gluster/clientlog", "pkg/gluster/process", "pkg/gluster/statedir", "pkg/gluster/glusterd", "pkg/gluster/meta", "pkg/tree"},
	{"pkg/gluster", "pkg/mount"},
	{"pkg/safepath"},
}

func TestEveryPackageKnowsOnlyThoseBelowIt(t *testing.T) {
	floorOf := map[string]int{}
	for floor, packages := range floors {
		for _, p := range packages {
			floorOf[p] = floor
		}
	}
	list, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"pkg/...", module+"cmd/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(list)) {
		names := strings.Fields(strings.ReplaceAll(line, module, ""))
		floor, known := floorOf[names[0]]
		if !known {
			if names[0] != "pkg" {
				t.Errorf("%s is on no floor", names[0])
			}
			continue
		}
		seen++
		for _, imported := range names[1:] {
			if below, isOurs := floorOf[imported]; isOurs && below <= floor || !isOurs && strings.HasPrefix(imported, "pkg/") {
				t.Errorf("%s imports %s, which is not below it", names[0], imported)
			}
		}
	}
	if seen < len(floors) {
		t.Errorf("only %d packages were listed:\n%s", seen, list)
	}
}
