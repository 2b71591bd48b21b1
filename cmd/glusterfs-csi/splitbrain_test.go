// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// The cable between the two servers was cut, and a pod on either side has written to one file, and made another.
func TestFilesInSplitBrainAreListedAndSettled(t *testing.T) {
	p := newPlace(t)
	controller := p.serve()
	id := create(t, controller, "pvc-split", "path", "split")
	defer func() { // what the tests of the trash find in it is to be their own
		remove(t, controller, id)
		p.must("trash", "purge", "--all", "--yes")
	}()
	c := testcluster.Shared(t, testcluster.Options{})
	var addresses []string
	m, err := c.Mount(t.Context(), "gv0")
	if err == nil {
		err = os.WriteFile(filepath.Join(m.Path, "split/data"), []byte("before"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for side, content := range []string{"first", "the second"} {
		addresses = append(addresses, c.Servers()[side]+":"+c.BrickPath("gv0", side))
		one, err := c.MountSide(t.Context(), "gv0", side)
		for _, name := range []string{"data", "made"} {
			if err == nil {
				err = os.WriteFile(filepath.Join(one.Path, "split", name), []byte(content), 0o600)
			}
		}
		if err == nil {
			err = one.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	before := p.clients()

	stdout, stderr, code := p.run("volume", "split-brain", id)
	if code != 3 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	t.Logf("\n%s%s", stdout, stderr)
	row := func(name, differs, brick, size, counts string) {
		matches(t, stdout, `(?m)^"`+name+`" +`+differs+` +`+regexp.QuoteMeta(brick)+` +`+size+` +\d{4}-\d\d-\d\dT[0-9:.]+Z +0600 +0:0 +`+counts+`$`)
	}
	matches(t, stdout, `^FILE +DIFFERS IN +BRICK +SIZE +CHANGED +MODE +OWNER +COUNTS\n`)
	for _, name := range []string{"data", "made"} {
		differs := map[string]string{"data": "data", "made": "name"}[name]
		row(name, differs, addresses[0], "5", "-")
		row(name, differs, addresses[1], "10", "-")
	}
	matches(t, stderr, `files that the bricks disagree on are left: 2`)

	stdout, stderr, code = p.run("volume", "split-brain", id, "--keep", "largest", "--dry-run")
	if code != 3 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	row("data", "data", addresses[0], "5", "no")
	row("data", "data", addresses[1], "10", "yes")

	var files []answers.SplitFile
	if err := json.Unmarshal([]byte(p.must("volume", "split-brain", id, "data", "--keep", "brick="+addresses[0], "-o", "json")), &files); err != nil || len(files) != 1 {
		t.Fatalf("%+v, %v", files, err)
	}
	if f := files[0]; f.Path != "data" || f.Counts != addresses[0] || !regexp.MustCompile(`^data\.split-brain-\d{8}T\d{6}Z$`).MatchString(f.Kept) {
		t.Errorf("settled is %+v", f)
	}
	stdout = p.must("volume", "split-brain", id, "--keep", "newest")
	t.Logf("\n%s", stdout)
	matches(t, stdout, `"made" is settled; the other copy is kept as "made\.split-brain-`)
	if text := p.must("volume", "split-brain", id); text != "" {
		t.Errorf("afterwards it lists %s", text)
	}
	for name, content := range map[string]string{"data": "first", files[0].Kept: "the second", "made": "the second", "made.split-brain-*": "first"} {
		found, err := filepath.Glob(filepath.Join(m.Path, "split", name))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s is %q, %v", name, found, err)
		}
		if got, err := os.ReadFile(found[0]); string(got) != content {
			t.Errorf("%s is %q, %v, want %q", name, got, err, content)
		}
	}
	goesByTheDecision(t, p, c, m.Path, id, addresses)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if after := p.clients(); len(after) != len(before) {
		t.Errorf("the clients %+v became %+v", before, after)
	}
}

// goesByTheDecision settles a file of which both copies have the same size by now, since GlusterFS was writing one over
// the other when whoever had decided that was killed.
func goesByTheDecision(t *testing.T, p place, c *testcluster.Cluster, root, id string, addresses []string) {
	t.Helper()
	var decision string
	for side := range 2 {
		one, err := c.MountSide(t.Context(), "gv0", side)
		if err == nil {
			err = os.WriteFile(filepath.Join(one.Path, "split/data"), []byte([]string{"1st half", "2nd half"}[side]), 0o600)
		}
		var st unix.Stat_t
		if err == nil && side == 0 {
			err = unix.Stat(filepath.Join(one.Path, "split/data"), &st)
			decision = fmt.Sprintf("gv0-client-0/data/%d %d.%d %o %d:%d", st.Size, st.Mtim.Sec, st.Mtim.Nsec, st.Mode, st.Uid, st.Gid)
		}
		if err == nil {
			err = one.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	gfid := make([]byte, 36)
	dirs, err := filepath.Glob(filepath.Join(root, ".glusterfs-csi/split-brain/*"))
	if err == nil {
		_, err = unix.Lgetxattr(filepath.Join(root, "split/data"), "glusterfs.gfid.string", gfid)
	}
	if err != nil || len(dirs) != 1 {
		t.Fatal(dirs, err)
	}
	if err := os.Symlink(decision, filepath.Join(dirs[0], string(gfid)+".counts")); err != nil {
		t.Fatal(err)
	}
	var files []answers.SplitFile
	stdout, stderr, code := p.run("volume", "split-brain", id, "data", "--keep", "largest", "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &files); err != nil || code != 0 || len(files) != 1 || files[0].Counts != addresses[0] || files[0].Kept == "" {
		t.Errorf("what was decided: exit code %d, %+v, %v: %s", code, files, err, stderr)
	}
}
