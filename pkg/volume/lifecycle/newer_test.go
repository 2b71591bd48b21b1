// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// A driver of a later version writes records with fields that this one does not know, and says who may read them, and
// who may change what belongs to them.
func TestRecordsOfANewerDriver(t *testing.T) {
	tests := map[string]struct {
		replace, by      string
		read, act        error
		keeps, otherwise string
	}{
		"with another field":    {`"schema": 2`, `"schema": 9, "colour": {"red": 1}`, nil, nil, `"colour"`, ""},
		"that may be read":      {`"minWriter": 2`, `"minWriter": 3`, nil, volume.ErrNewer, "", "know schema 3"},
		"that may not be read":  {`"minReader": 2`, `"minReader": 3`, volume.ErrNewer, volume.ErrNewer, "", "know schema 3"},
		"with another onDelete": {`"onDelete": "trash"`, `"onDelete": "compost"`, volume.ErrCorrupt, volume.ErrCorrupt, "", "compost"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			volumes.Create(t, s, volumes.Spec("vol"))
			volumes.Create(t, s, volumes.Spec("other"))
			file := filepath.Join(mountpoint, volumes.RecordFile("vol"))
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(data), test.replace, test.by, 1)
			if changed == string(data) {
				t.Fatalf("%s has no %s", data, test.replace)
			}
			if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := s.Get("vol")
			if test.read == nil {
				if err != nil {
					t.Fatal(err)
				}
				volumes.Publish(t, s, lifecycle.Access{ID: "vol"})
				if text := string(r.Encode()); !strings.Contains(text, test.keeps) {
					t.Errorf("%s has lost %s", text, test.keeps)
				}
			} else {
				volumes.Wants(t, err, test.read, test.otherwise)
			}
			page, err := s.List("", 10)
			if test.read == nil && len(page.Records) != 2 || test.read != nil && len(page.Records) != 1 || err != nil {
				t.Errorf("listed %+v, %v", page, err)
			}
			if !errors.Is(page.Damaged, test.read) {
				t.Errorf("left out: %v", page.Damaged)
			}
			err = s.Delete(volumes.Background, "vol")
			if test.act != nil {
				volumes.Wants(t, err, test.act, test.otherwise)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := volumes.RestoreOnly(s); err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(file); !strings.Contains(string(data), test.keeps) {
				t.Errorf("restored without %s: %s, %v", test.keeps, data, err)
			}
		})
	}
}

// A newer driver's copy does not become a volume here, though it is asked for.
func TestACopyOfANewerDriverIsNotMovedIntoItsPlace(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Must(t, makeCopy(s))
	volumes.StopAt(s, "create: record complete", func(s *lifecycle.Volumes) { _, _ = s.Create(cloned()) })
	file := filepath.Join(mountpoint, volumes.RecordFile("vol"))
	data, err := os.ReadFile(file)
	volumes.Must(t, err, os.WriteFile(file, []byte(strings.Replace(string(data), `"minWriter": 2`, `"minWriter": 3`, 1)), 0o600))
	volumes.Wants(t, createSpec(cloned())(s), volume.ErrNewer)
	st, err := s.Clones().Find("vol")
	volumes.Must(t, err)
	tree, err := s.Clones().OpenTree(st)
	volumes.Must(t, err)
	tree.Close()
}
