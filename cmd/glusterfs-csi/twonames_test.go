// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/check"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// shell runs a command as a person on a server would.
func (p place) shell(command string) {
	p.t.Helper()
	p.t.Log(command)
	if out, err := exec.CommandContext(p.t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v: %s", command, err, out)
	}
}

// check is what `volume check` finds.
func (p place) check(wantCode int) []problemRow {
	p.t.Helper()
	stdout, stderr, code := p.run("volume", "check", "-o", "json")
	var rows []problemRow
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil || code != wantCode {
		p.t.Fatalf("exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
	return rows
}

// A brick has forgotten that a volume was restored, and that the directory above it was made again.
func TestTheCheckSaysWhatCuresADirectoryWithTwoNames(t *testing.T) {
	p := newPlace(t)
	c := testcluster.Shared(t, testcluster.Options{})
	controller := p.serve()
	id := create(t, controller, "pvc-1")
	dear := filepath.Join(p.root(), "shop/pvc-1/dear")
	if err := os.WriteFile(dear, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	remove(t, controller, id)
	brick := c.BrickPath("gv0", 0)
	p.shell("cp -a " + brick + " " + brick + ".kept")
	p.must("trash", "restore", p.entries()[0].Entry)
	back := func(change string) {
		t.Helper()
		if err := c.KillBrick("gv0", 0); err != nil {
			t.Fatal(err)
		}
		p.shell(change)
		if err := c.StartBrick("gv0", 0); err != nil {
			t.Fatal(err)
		}
		testcluster.Eventually(t, patience, func() error { return testcluster.Connected(p.root(), "gv0", 0) })
	}
	back("rm -r " + brick + " && mv " + brick + ".kept " + brick)

	found := p.check(3)
	if len(found) != 1 || found[0].Problem != check.TwoNames || found[0].Subject != id || found[0].Path != "shop/pvc-1" || found[0].State != stateFound {
		t.Fatalf("found %+v", found)
	}
	text, _, _ := p.run("volume", "check")
	t.Log(text)
	live, _, _ := strings.Cut(found[0].Repair, "; if none does")
	commands := regexp.MustCompile("on [^ ]+, with brick ([^ ]+) stopped, `([^`]+)`").FindAllStringSubmatch(live, -1)
	if len(commands) != 1 || commands[0][1] != brick {
		t.Fatalf("the commands are %q", commands)
	}
	back(commands[0][2])
	if found := p.check(0); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
	for i := range 2 {
		if data, err := os.ReadFile(filepath.Join(c.BrickPath("gv0", i), "shop/pvc-1/dear")); string(data) != "dear" {
			t.Errorf("brick %d has %q, %v", i, data, err)
		}
	}
	for _, entry := range p.entries() { // that came back, of a volume that is there: it is forgotten
		p.must("trash", "restore", entry.Entry)
	}
	if left := p.entries(); len(left) > 0 {
		t.Errorf("left in the trash: %+v", left)
	}
	if data, err := os.ReadFile(dear); string(data) != "dear" {
		t.Errorf("it is %q, %v", data, err)
	}
	remove(t, controller, id)
	p.must("trash", "purge", "--all", "--yes")
	if left := p.check(0); len(left) > 0 {
		t.Errorf("left: %+v", left)
	}
}
