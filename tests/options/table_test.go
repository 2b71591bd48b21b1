// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package options

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// row is one way in which people set a Gluster volume.
type row struct {
	options string // as docs/install.md has them: "group NAME", or "key value" pairs with commas between
	outcome string // "works", or how a new volume of uid 1001 and the default mode differs, or the option that refuses it
	short   bool   // whether it is tried each time
}

const works = "works"

var rows = []row{
	{"group metadata-cache", works, false},
	{"group nl-cache", works, false},
	{"group virt", works, false},
	{"group db-workload", works, false},
	{"group samba", works, true},
	{"group gluster-block", works, false},
	{"performance.parallel-readdir on, performance.readdir-ahead on", works, false},
	{"features.shard on", works, true},
	{"features.trash on", works, false},
	{"features.uss enable", works, false},
	{"cluster.quorum-type auto, cluster.server-quorum-type server", works, true},
	{"cluster.consistent-metadata on, cluster.eager-lock off", works, false},
	{"storage.owner-uid 36, storage.owner-gid 36", works, false},
	{everyPerformanceTranslatorOff, works, true},
	{"features.ctime off", works, false},
	{"ctime.noatime off", works, false},
	{"locks.mandatory-locking forced", works, false},
	{"features.sdfs enable, features.leases on", works, false},
	{"features.selinux on", works, false},
	{"features.worm-file-level on", works, false},
	{"storage.create-directory-mask 0750, storage.create-mask 0750", "bends: 1001:0 2750", false},
	{"storage.force-directory-mode 0777", "bends: 1001:0 2777", true},
	{"features.read-only on", "refused: ReadOnly", false},
	{"features.worm on", "refused: Worm", true},
	{"server.root-squash on", "refused: RootSquash", false},
}

const everyPerformanceTranslatorOff = "performance.quick-read off, performance.io-cache off, performance.read-ahead off, performance.readdir-ahead off, " +
	"performance.write-behind off, performance.stat-prefetch off, performance.open-behind off, performance.nl-cache off"

// groups is where Debian's package has the groups of options of `gluster volume set NAME group GROUP`.
const groups = "/var/lib/glusterd/groups"

// arguments are what `gluster volume set NAME` takes.
func (r row) arguments() ([]string, error) {
	group, isGroup := strings.CutPrefix(r.options, "group ")
	if !isGroup {
		return strings.Fields(strings.ReplaceAll(r.options, ",", "")), nil
	}
	data, err := os.ReadFile(filepath.Join(groups, group))
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		key, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if found {
			all = append(all, key, value)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the group %s has no options", group)
	}
	return all, nil
}
