// SPDX-License-Identifier: Apache-2.0

package story

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// gv0 is the Gluster volume itself, as the operator sees it on a server.
type gv0 struct {
	s   *step
	dir string
}

// gv0 mounts the Gluster volume until the step ends.
func (s *step) gv0() gv0 {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	dir, unmount, err := s.Mount(ctx)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := unmount(); err != nil {
			s.Error(err)
		}
	})
	return gv0{s, dir}
}

// in is the same in a part of the step.
func (g gv0) in(part *step) gv0 { return gv0{part, g.dir} }

// exists says whether there is such a path.
func (g gv0) exists(path string) bool {
	g.s.Helper()
	_, err := os.Lstat(filepath.Join(g.dir, path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.s.Fatal(err)
	}
	return err == nil
}

// entries lists a directory.
func (g gv0) entries(dir string) []string {
	g.s.Helper()
	entries, err := os.ReadDir(filepath.Join(g.dir, dir))
	if err != nil {
		g.s.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// run runs a script in the root directory of the volume and returns what it printed.
func (g gv0) run(script string) string {
	g.s.Helper()
	ctx, cancel := g.s.context(callTimeout)
	defer cancel()
	sh := exec.CommandContext(ctx, "sh", "-ec", script)
	sh.Dir = g.dir
	output, err := sh.CombinedOutput()
	if err != nil {
		g.s.Fatalf("on %s: %s: %v\n%s", cluster.Volume, script, err, output)
	}
	return strings.TrimSpace(string(output))
}
