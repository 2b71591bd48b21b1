// SPDX-License-Identifier: Apache-2.0

// Package pkg holds no code: its test keeps the packages below it in their order.
package pkg

import (
	"errors"
	"go/build"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/glusterfs-csi/glusterfs-csi/"

// floors are the packages from the top down; those of one line know nothing of each other. docs/development.md draws them.
var floors = [][]string{
	{"cmd/glusterfs-csi", "cmd/kubectl-glusterfs"},
	{"pkg/driver", "cmd/kubectl-glusterfs/cli"},
	{"pkg/nodereports"},
	{
		"pkg/doctor", "pkg/dump", "pkg/events", "pkg/kubelet", "pkg/monitor", "pkg/mounter", "pkg/startuptaint", "pkg/volume/manager", "pkg/gluster/health", "pkg/gluster/holders",
		"pkg/gluster/repair",
		"cmd/kubectl-glusterfs/apply", "cmd/kubectl-glusterfs/live", "cmd/kubectl-glusterfs/report",
	},
	{"pkg/volume/check", "pkg/volume/lifecycle", "pkg/volume/jobs", "pkg/volume/provisioned", "pkg/gluster/reconnect"},
	{"pkg/volume/trash", "pkg/volume/snapshot"},
	{"pkg/volume/creation", "pkg/volume/copying", "pkg/volume/splitbrain"},
	{"pkg/volume/store"},
	{"pkg/volume/owndir"},
	{
		"pkg/gluster/client", "pkg/gluster/quota", "pkg/gluster/settings", "pkg/commit", "pkg/volume", "pkg/tree/copies", "cmd/kubectl-glusterfs/undelete", "cmd/kubectl-glusterfs/recovery",
		"cmd/kubectl-glusterfs/doctor", "cmd/kubectl-glusterfs/dump",
	},
	{"pkg/gluster/starts"},
	{"pkg/gluster/probe"},
	{"pkg/gluster/clientlog", "pkg/gluster/process", "pkg/gluster/programs", "pkg/gluster/statedir", "pkg/gluster/glusterd", "pkg/gluster/meta", "pkg/tree", "pkg/migrate", "cmd/kubectl-glusterfs/inside", "cmd/kubectl-glusterfs/objects"},
	{"pkg/gluster/credentials", "pkg/gluster/permits", "pkg/tree/manifest", "pkg/mount/holders", "pkg/cgroup", "pkg/migrate/mountoptions"},
	{"pkg/gluster", "pkg/mount"},
	{"pkg/ask", "pkg/debug", "pkg/kubeapi", "pkg/onemaker", "pkg/thread"},
	{"pkg/ages", "pkg/safepath", "pkg/panics", "pkg/answers", "pkg/pods", "pkg/rootsocket", "pkg/waiting"},
}

func TestEveryPackageKnowsOnlyThoseBelowIt(t *testing.T) {
	floorOf := map[string]int{}
	for floor, packages := range floors {
		for _, p := range packages {
			floorOf[p] = floor
		}
	}
	seen := 0
	for _, p := range packagesBelow(t, "pkg", "cmd") {
		floor, known := floorOf[p.name]
		if !known {
			t.Errorf("%s is on no floor", p.name)
			continue
		}
		seen++
		for _, imported := range p.imports {
			name, isOurs := strings.CutPrefix(imported, module)
			if below, known := floorOf[name]; isOurs && (!known || below <= floor) {
				t.Errorf("%s imports %s, which is not below it", p.name, name)
			}
		}
	}
	if seen != len(floorOf) {
		t.Errorf("%d packages are there, and %d have a floor", seen, len(floorOf))
	}
}

type goPackage struct {
	name    string // its directory
	imports []string
}

// packagesBelow finds what has code below these directories of the module.
func packagesBelow(t *testing.T, directories ...string) (found []goPackage) {
	t.Helper()
	for _, directory := range directories {
		err := filepath.WalkDir(filepath.Join("..", directory), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			p, err := build.ImportDir(path, 0)
			var none *build.NoGoError
			if errors.As(err, &none) || err == nil && len(p.GoFiles) == 0 {
				return nil
			}
			name, _ := filepath.Rel("..", path)
			found = append(found, goPackage{filepath.ToSlash(name), p.Imports})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
