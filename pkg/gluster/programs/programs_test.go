// SPDX-License-Identifier: Apache-2.0

package programs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const list = `Debian packages of which parts are in this image:
  base-files 12.4+deb12u5 amd64
  glusterfs-client 10.3-5 amd64
  glusterfs-common 10.3-5 amd64
Files, with their sizes in bytes:
    258432 /usr/sbin/glusterfsd
        10 /usr/sbin/glusterfs
     88096 /usr/lib/x86_64-linux-gnu/glusterfs/10.3/xlator/mount/fuse.so
       267 /etc/os-release
        12 /usr/../etc/shadow
`

func TestTheListOfAnImage(t *testing.T) {
	version, files, err := parse(list)
	want := []string{"/usr/sbin/glusterfsd", "/usr/sbin/glusterfs", "/usr/lib/x86_64-linux-gnu/glusterfs/10.3/xlator/mount/fuse.so"}
	if err != nil || len(version) != len("10.3-5-01234567") || version[:7] != "10.3-5-" || !slices.Equal(files, want) {
		t.Errorf("got %q %q %v", version, files, err)
	}
	if other, _, _ := parse(list + "         9 /usr/lib/x\n"); other == version {
		t.Error("another list has the same version")
	}
	for name, text := range map[string]string{
		"nothing": "", "no files": "  glusterfs-client 10.3-5 amd64\n", "no version": "  1 /usr/sbin/glusterfs\n",
		"a version that is a path": "  glusterfs-client ../x amd64\n  1 /usr/sbin/glusterfs\n",
	} {
		if version, files, err := parse(text); err == nil {
			t.Errorf("%s: got %q %q", name, version, files)
		}
	}
}

func TestACopyIsWholeOrNotThere(t *testing.T) {
	source, state := t.TempDir(), t.TempDir()
	program, link := filepath.Join(source, "program"), filepath.Join(source, "link")
	if err := errors.Join(os.WriteFile(program, []byte("text"), 0o700), os.Symlink("program", link)); err != nil {
		t.Fatal(err)
	}
	c := Copy{dir: filepath.Join(state, "programs", "10.3-5-x"), Version: "10.3-5-x"}
	if err := c.make([]string{program, filepath.Join(source, "none")}); err == nil {
		t.Error("a file is missing, and there is no error")
	}
	if _, err := os.Stat(c.dir); err == nil {
		t.Error("a copy of a part has its name")
	}
	if err := c.make([]string{program, link}); err != nil { // over what the attempt before has left
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(c.dir, link))
	info, errStat := os.Stat(filepath.Join(c.dir, program))
	if err != nil || errStat != nil || string(text) != "text" || info.Mode().Perm() != 0o700 {
		t.Errorf("got %q %v, %+v %v", text, err, info, errStat)
	}
}

func TestCopiesThatNobodyRunsAreRemoved(t *testing.T) {
	state := t.TempDir()
	if err := Sweep(state, nil); err != nil {
		t.Errorf("without any: %v", err)
	}
	for _, name := range []string{"10.3-5-a", "10.3-5-b", "9.2-1-c", "11-new.new", "9.2-1-d.gone"} {
		if err := os.MkdirAll(filepath.Join(state, "programs", name, "usr/sbin"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(state, []string{"10.3-5-b", ""}); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(state, "programs"))
	if err != nil || len(left) != 1 || left[0].Name() != "10.3-5-b" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAProcessWithoutARootOfItsOwnHasNoVersion(t *testing.T) {
	if version := Of(os.Getpid()); version != "" {
		t.Errorf("it is %q", version)
	}
}
