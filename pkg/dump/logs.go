// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/clientlog"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// logs adds what the clients of this host have logged, by their places in the state directory.
func (h Host) logs(c *collection) {
	if _, err := os.Stat(filepath.Join(h.StateDir, "clients")); errors.Is(err, os.ErrNotExist) {
		return // no client was ever started here, and to look further would make the directory
	}
	root, err := statedir.Open(h.StateDir)
	var slots []statedir.Slot
	if err == nil {
		slots, err = root.Slots()
	}
	if err != nil {
		c.Missing = append(c.Missing, answers.DumpMissing{What: "clients", Why: err.Error()})
		return
	}
	type log struct {
		file string
		read func() (string, int, error)
	}
	var all []log
	for _, slot := range slots {
		for _, file := range []string{slot.Stderr(), slot.OldLog(), slot.Log()} {
			if info, err := os.Stat(file); err == nil && info.Size() > 0 {
				all = append(all, log{file, func() (string, int, error) { return h.read(file, file == slot.Stderr()) }})
			}
		}
	}
	for i, l := range all {
		c.share(len(all)-i, strings.TrimPrefix(l.file, root.StateDir()+"/"), l.read)
	}
}

// read reads a log. What a client prints before it has one is of the time before it has seen a file.
func (h Host) read(file string, isWhole bool) (text string, reduced int, err error) {
	text, err = readEnd(file, 2*clientlog.MaxSize)
	if err == nil && !isWhole {
		text, reduced = clientlog.Redact(text, h.Since)
	}
	return text, reduced, err
}
