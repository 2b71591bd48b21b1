// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

func openRoot(t *testing.T) Root {
	t.Helper()
	root, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestAClientThatHasEndedIsRememberedUntilItIsForgottenOrTheHostIsBooted(t *testing.T) {
	root := openRoot(t)
	boot, err := Boot()
	if err != nil {
		t.Fatal(err)
	}
	ended := Ended{
		Volume: gluster.Volume{Cluster: "pi", Name: "gv0"}, Device: mount.Device{Minor: 40}, Connection: 7, Boot: boot, PID: 12, Mountpoint: "/m",
		Since: time.Now().UTC().Truncate(time.Second), Mounts: map[string][]int{"/pvc-1": {3, 4}},
	}
	other := ended // another file system has got the device
	other.Connection, other.Since = 8, ended.Since.Add(time.Second)
	before := ended
	before.Connection, before.Boot = 9, "another"
	for _, e := range []Ended{other, ended, before} {
		if err := root.WriteEnded(&e); err != nil {
			t.Fatal(err)
		}
	}
	all, err := root.Ended()
	if err != nil || len(all) != 2 || fmt.Sprint(all[0].Mounts, all[0].Since, all[0].PID) != fmt.Sprint(ended.Mounts, ended.Since, 12) || !all[1].IsSame(&other) {
		t.Errorf("remembered are %+v, %v", all, err)
	}
	if files, _ := filepath.Glob(filepath.Join(root.StateDir(), endedDir, "*")); len(files) != 2 {
		t.Errorf("there are %v", files)
	}
	for range 2 {
		if err := root.ForgetEnded(&ended); err != nil {
			t.Error(err)
		}
	}
	if all, err := root.Ended(); err != nil || len(all) != 1 || all[0].IsSame(&ended) {
		t.Errorf("then %+v, %v", all, err)
	}
}

// As a power cut leaves a file that was renamed before its content was on the disk.
func TestAFileWithoutSenseIsRemoved(t *testing.T) {
	root := openRoot(t)
	boot, err := Boot()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(root.WriteEnded(&Ended{Connection: 7, Boot: boot}), root.WritePublished(Published{Pod: "0f1e"})); err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, dir := range []string{endedDir, publishedDir} {
		for name, text := range map[string]string{"empty.json": "", "zeros.json": "\x00\x00", "cut.json": `{"pid": 1`} {
			file := filepath.Join(root.StateDir(), dir, name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	if all, err := root.Ended(); len(all) != 1 || err != nil {
		t.Errorf("ended are %+v, %v", all, err)
	}
	if all, err := root.Published(); len(all) != 1 || err != nil {
		t.Errorf("published are %+v, %v", all, err)
	}
	for _, file := range files {
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestWhatIsToBeRestartedIsKnownUntilItIsUnpublished(t *testing.T) {
	root := openRoot(t)
	v := gluster.Volume{Cluster: "pi", Name: "gv0"}
	p := Published{Volume: v, Pod: "0f1e", Root: "/pvc-1", Target: "/pods/0f1e/volumes/kubernetes.io~csi/pvc-1/mount"}
	for range 2 {
		if err := root.WritePublished(p); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := root.Published(); err != nil || len(all) != 1 || all[0] != p {
		t.Errorf("known are %+v, %v", all, err)
	}
	for path, has := range map[string]bool{"/pvc-1": true, "/pvc-1/sub/file": true, "/pvc-10": false, "/": false, "": false} {
		if p.Has(v, path) != has || p.Has(gluster.Volume{Cluster: "pi", Name: "gv1"}, path) {
			t.Errorf("it has %q: %t", path, p.Has(v, path))
		}
	}
	if whole := (Published{Volume: v, Root: "/"}); !whole.Has(v, "/pvc-1") {
		t.Error("the whole Gluster volume has not all")
	}
	for range 2 {
		if err := root.RemovePublished(p.Target); err != nil {
			t.Error(err)
		}
	}
	if all, err := root.Published(); err != nil || len(all) > 0 {
		t.Errorf("then %+v, %v", all, err)
	}
}

func TestWhatIsSaidOfAHolder(t *testing.T) {
	h := Holder{
		Volume: gluster.Volume{Cluster: "pi", Name: "gv0"}, Since: time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC), Root: "/pvc-1", PID: 7, Command: "prometheus",
		Files: 3, Writable: 2, Mapped: 1,
	}
	want := "restart process 7 (prometheus), which is in no pod: it still has files of a client that died at 2026-11-27T01:02:03Z, in directory /pvc-1 of pi/gv0, " +
		"open: 3 (for writing: 2), mapped: 1; what it writes there is lost, and what it reads fails, until it opens them anew"
	if got := h.Describe(); got != want {
		t.Errorf("it is said\n%s\nwant\n%s", got, want)
	}
}
