// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// root is the Gluster volume as the driver's client shows it: what is done there is seen at once.
func (p place) root() string {
	p.t.Helper()
	clients := p.clients()
	if len(clients) != 1 {
		p.t.Fatalf("clients: %+v", clients)
	}
	return clients[0].Mountpoint
}

func TestTheTrashIsPurgedButForWhatIsHeld(t *testing.T) {
	p := newPlace(t)
	controller := p.serve()
	for _, name := range []string{"pvc-held", "pvc-a", "pvc-b"} {
		remove(t, controller, create(t, controller, name))
	}
	held := p.entries()[0].Entry
	matches(t, p.must("trash", "hold", held), `is held\.\n$`)
	matches(t, p.must("trash", "list"), `(?m)^pi/gv0/pvc-held\S+ .* held +yes$`)
	if got := p.must("trash", "purge", "--older-than", "1h", "--yes"); got != "" {
		t.Errorf("it purged what is young: %s", got)
	}
	p.fails(2, []string{"trash", "purge", "--all"}, "--yes")
	p.fails(1, []string{"trash", "purge", held}, "trash release")
	matches(t, p.must("trash", "purge", "--all", "--yes"), `^Purged pi/gv0/pvc-a\.\S+\nPurged pi/gv0/pvc-b\.\S+\n$`)
	if left := p.entries(); len(left) != 1 || left[0].Entry != held || !left[0].Held {
		t.Errorf("left: %+v", left)
	}
	matches(t, p.must("trash", "release", held), `is released\.\n$`)

	// On a terminal it asks.
	for answer, want := range map[string]int{"\n": 1, "n\n": 1} {
		p.answer(answer, "trash", "purge", "--all")
		if left := p.entries(); len(left) != want {
			t.Errorf("after the answer %q there is %+v", answer, left)
		}
	}
	matches(t, p.answer("y\n", "trash", "purge", held), `Purged `)
	if left := p.entries(); len(left) > 0 {
		t.Errorf("left: %+v", left)
	}
}

// answer runs a command at a terminal, where somebody types.
func (p place) answer(typed string, args ...string) string {
	p.t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer ptmx.Close()
	number, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0))
	if err != nil {
		p.t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer terminal.Close()
	c := p.command(args...)
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = terminal, &stdout, &stderr
	if _, err := ptmx.WriteString(typed); err != nil {
		p.t.Fatal(err)
	}
	if err := c.Run(); err != nil || !strings.Contains(stderr.String(), "for good? [y/N]") {
		p.t.Errorf("%q: %v, %s", args, err, &stderr)
	}
	return stdout.String()
}

func TestWhatIsRestoredCanBeApplied(t *testing.T) {
	p := newPlace(t)
	controller := p.serve()
	id := create(t, controller, "pvc-applied")
	remove(t, controller, id)
	objects := strings.Split(p.must("trash", "restore", p.entries()[0].Entry, "-o", "yaml"), "---\n")
	if len(objects) != 2 {
		t.Fatalf("%q", objects)
	}
	var pv struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Spec struct {
			AccessModes []string          `json:"accessModes"`
			Capacity    map[string]string `json:"capacity"`
			Policy      string            `json:"persistentVolumeReclaimPolicy"`
			CSI         struct {
				Driver     string            `json:"driver"`
				Handle     string            `json:"volumeHandle"`
				Attributes map[string]string `json:"volumeAttributes"`
			} `json:"csi"`
		} `json:"spec"`
	}
	var claim struct {
		Kind string `json:"kind"`
		Spec struct {
			AccessModes []string `json:"accessModes"`
			VolumeName  string   `json:"volumeName"`
			Class       *string  `json:"storageClassName"`
		} `json:"spec"`
	}
	if err := errors.Join(yaml.Unmarshal([]byte(objects[0]), &pv), yaml.Unmarshal([]byte(objects[1]), &claim)); err != nil {
		t.Fatal(err)
	}
	csi := pv.Spec.CSI
	if pv.Kind != "PersistentVolume" || csi.Driver != "glusterfs.csi.gluster.org" || csi.Handle != id || csi.Attributes["path"] != "shop/pvc-applied" ||
		pv.Spec.Capacity["storage"] != "1536Mi" || pv.Spec.Policy != "Retain" || len(pv.Spec.AccessModes) != 1 {
		t.Errorf("%+v", pv)
	}
	if claim.Kind != "PersistentVolumeClaim" || claim.Spec.VolumeName != pv.Metadata.Name || claim.Spec.Class == nil || *claim.Spec.Class != "" ||
		claim.Spec.AccessModes[0] != pv.Spec.AccessModes[0] {
		t.Errorf("%+v", claim)
	}
	matches(t, objects[0], `(?m)^# .*mountOptions, and consistency`)
	remove(t, controller, id)
	p.must("trash", "purge", "--all", "--yes")
}

func TestAnInterruptedPurgeSaysWhatIsTrue(t *testing.T) {
	p := newPlace(t)
	controller := p.serve()
	id := create(t, controller, "pvc-large")
	root := p.root()
	for i := range 3000 {
		if err := os.Mkdir(filepath.Join(root, "shop/pvc-large", fmt.Sprint(i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	remove(t, controller, id)
	entry := p.entries()[0].Entry
	c := p.command("trash", "purge", entry)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, patience, func() error {
		if doomed, err := filepath.Glob(filepath.Join(root, ".glusterfs-csi/trash/??", filepath.Base(entry)+"*.doomed")); len(doomed) == 0 {
			return fmt.Errorf("it is not being removed: %w", errors.Join(err, os.ErrNotExist))
		}
		return nil
	})
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // its exit code tells
	if c.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "partly removed") || !strings.Contains(stderr.String(), "cannot be restored any more") {
		t.Errorf("exit code %d: %s", c.ProcessState.ExitCode(), &stderr)
	}
	matches(t, p.must("trash", "list"), `no: it is being removed\n$`)
	p.fails(1, []string{"trash", "restore", entry}, "another operation")
	matches(t, p.must("trash", "purge", entry), `^Purged `)
}

func TestAGlusterVolumeThatFailsHidesNoOther(t *testing.T) {
	p := newPlace(t)
	controller := p.serve()
	id := create(t, controller, "pvc-seen")
	file := filepath.Join(p.dir, "clusters.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Replace(string(text), "[gv0", "[gv-silent, gv0", 1)
	if err := os.WriteFile(file, []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"volume", "list"}, {"trash", "list"}, {"volume", "check"}} {
		stdout, stderr, code := p.run(args...)
		if code != 1 || !strings.Contains(stderr, "gv-silent") || args[1] == "list" && args[0] == "volume" && !strings.Contains(stdout, id) {
			t.Errorf("%q: exit code %d, %s\n%s", args, code, stderr, stdout)
		}
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	remove(t, controller, id)
	p.must("trash", "purge", "--all", "--yes")
}

// TestAVolumeIsListedWhoseUsageIsNotKnown: who looks for a deleted claim's data asks where it is.
func TestAVolumeIsListedWhoseUsageIsNotKnown(t *testing.T) {
	p := newPlace(t)
	controller := p.serve()
	id := create(t, controller, "pvc-unread")
	root := p.root()
	record, err := filepath.Glob(filepath.Join(root, ".glusterfs-csi/volumes/??/pvc-unread.json"))
	if err != nil || len(record) != 1 {
		t.Fatal(record, err)
	}
	text, err := os.ReadFile(record[0])
	enforced := bytes.Replace(text, []byte(`"origin"`), []byte(`"enforced":true,"origin"`), 1)
	directory, away := filepath.Join(root, "shop/pvc-unread"), filepath.Join(root, "away")
	err = errors.Join(err, os.WriteFile(record[0], enforced, 0o600), os.Rename(directory, away), os.Symlink("../away", directory))
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := p.run("volume", "list")
	if code != 0 || !strings.Contains(stderr, "Not known what volumes use") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	matches(t, stdout, `(?m)^`+id+` .* yes +- `)
	if err := errors.Join(os.WriteFile(record[0], text, 0o600), os.Remove(directory), os.Rename(away, directory)); err != nil {
		t.Fatal(err)
	}
	remove(t, controller, id)
	p.must("trash", "purge", "--all", "--yes")
}

func TestTheCheckSaysWhatIsWrongAndRepairsIt(t *testing.T) {
	p := newPlace(t)
	controller := p.serve()
	create(t, controller, "pvc-kept")
	create(t, controller, "pvc-lost")
	matches(t, p.must("volume", "check"), `^PROBLEM +VOLUME OR ENTRY +PATH +WHY +REPAIR +STATE\n$`)
	root := p.root()
	kept := filepath.Join(root, "shop/pvc-kept", "dear")
	record, err := filepath.Glob(filepath.Join(root, ".glusterfs-csi/volumes/??/pvc-kept.json"))
	if err != nil || len(record) != 1 {
		t.Fatal(record, err)
	}
	err = errors.Join(os.WriteFile(kept, nil, 0o600), os.Rename(filepath.Join(root, "shop/pvc-lost"), filepath.Join(root, "away")),
		os.Remove(record[0]))
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := p.run("volume", "check")
	if code != 3 || !strings.Contains(stderr, "are left: 2") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	matches(t, stdout, `(?m)^no-directory +pi/gv0/pvc-lost +shop/pvc-lost +its directory is gone +nothing: .* +found$`)
	matches(t, stdout, `(?m)^no-volume +pi/gv0/pvc-kept +shop/pvc-kept +.* +give up the claim; the directory stays.* +found$`)
	stdout, stderr, code = p.run("volume", "check", "--repair")
	if code != 3 || !strings.Contains(stderr, "are left: 1") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	matches(t, stdout, `(?m)^no-volume .* +repaired$`)
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
	if err := os.Rename(filepath.Join(root, "away"), filepath.Join(root, "shop/pvc-lost")); err != nil {
		t.Fatal(err)
	}
	if got := p.must("volume", "check", "-o", "json"); got != "[]\n" {
		t.Errorf("found %s", got)
	}
	remove(t, controller, "pi/gv0/pvc-lost")
	p.must("trash", "purge", "--all", "--yes")
	if err := os.RemoveAll(filepath.Join(root, "shop")); err != nil {
		t.Fatal(err)
	}
}

func TestTheCheckFindsANameThatHasTwoVolumes(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	if err := c.CreateVolume("twin", testcluster.VolumeOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.RemoveVolume("twin"); err != nil {
			t.Error(err)
		}
	})
	p := newPlace(t)
	controller := p.serve()
	ids := []string{create(t, controller, "pvc-twice", "volume", "gv0"), create(t, controller, "pvc-twice", "volume", "twin")}
	create(t, controller, "pvc-once", "volume", "twin")
	stdout, _, code := p.run("volume", "check", "--repair")
	if code != 3 {
		t.Errorf("exit code %d", code)
	}
	for _, id := range ids {
		matches(t, stdout, `(?m)^two-volumes +`+id+` +shop/pvc-twice +.* +nothing: .* +found$`)
	}
	remove(t, controller, ids[0])
	if got := p.must("volume", "check", "-o", "json"); got != "[]\n" {
		t.Errorf("found %s", got)
	}
	p.must("trash", "purge", "--all", "--yes")
}
