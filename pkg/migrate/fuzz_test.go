// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// FuzzPlan plans whatever a file may hold: every old PersistentVolume is in the plan, and the driver takes its clusters
// file.
func FuzzPlan(f *testing.F) {
	err := filepath.WalkDir("testdata", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(path, "objects") {
			return err
		}
		text, err := os.ReadFile(path)
		f.Add(text)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		objects, findings, err := ReadFiles(fstest.MapFS{"objects.yaml": {Data: text}})
		if err != nil {
			t.Fatal(err)
		}
		for _, live := range []bool{false, true} {
			holds(t, "fuzzed", objects, Make(objects, findings, Options{Live: live}))
		}
	})
}

// FuzzPath holds parsePath to what the driver takes.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"", "gv0", "/gv0", "gv0/a/b", "gv0//a/./b/", "gv0/../x", "gv0/a/../b", "/", "g v", "gv0/.glusterfs-csi/x", "gv0/..a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, old string) {
		volume, directory, err := parsePath(old)
		if err != nil {
			return
		}
		if err := (gluster.Volume{Cluster: "x", Name: volume}).Validate(); err != nil {
			t.Error(err)
		}
		for part := range strings.SplitSeq(directory, "/") {
			if directory != "/" && (part == "" || part == "." || part == "..") {
				t.Errorf("%q has become %q", old, directory)
			}
		}
	})
}
