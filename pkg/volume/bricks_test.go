// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// An operator moves gv0 to new disks: bricks are added, and the old ones removed. What GlusterFS does not carry over
// (it leaves trusted.* xattrs of directories behind) no volume may hang on.
func TestVolumesOutliveTheirBricks(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	_, name, _ := fresh(t, testcluster.VolumeOptions{})
	mount := func() string { // as the driver's clients are started, with nothing remembered
		m, err := c.Mount(t.Context(), name, gluster.Arguments(name, []string{gluster.FreshNames})...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
		return m.Path
	}
	before := mount()
	s := open(t, before)
	nested := spec("nested")
	nested.Path = "team/app/nested"
	first := map[string]Record{}
	for _, wanted := range []Spec{spec("kept"), spec("deleted"), spec("trashed"), nested} {
		first[wanted.Name] = create(t, s, wanted)
		if err := os.WriteFile(filepath.Join(before, wanted.Path, "file"), []byte(wanted.Name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	makeSchema1(t, s, "old", "team/old")
	if err := errors.Join(s.Reconcile(background, unlocked), s.Delete(background, "trashed")); err != nil {
		t.Fatal(err)
	}

	if err := errors.Join(c.AddSubvolume(name), c.FixLayout(name), c.StartRemoval(name, 0), c.FinishRemoval(name, 0)); err != nil {
		t.Fatal(err)
	}

	after := mount()
	s = open(t, after)
	same(t, audit(t, after), "directory team", "directory team/app", "ready deleted", "ready kept", "ready nested", "ready old", "trash trashed")
	for id, r := range first {
		if id == "trashed" {
			continue
		}
		publish(t, s, Access{ID: id})
		if data, err := os.ReadFile(filepath.Join(after, r.Path, "file")); string(data) != id {
			t.Errorf("%s: %q, %v", id, data, err)
		}
		again := spec(id)
		again.Path = r.Path
		if have := create(t, s, again); have.stamp() != r.stamp() {
			t.Errorf("%s is another volume now", id)
		}
	}
	publish(t, s, Access{ID: "old"})
	inner := spec("inner")
	inner.Path = "kept/inner"
	_, err := s.Create(inner)
	wants(t, err, ErrNested)
	if err := restoreOnly(s); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"deleted", "nested", "old"} {
		if err := s.Delete(background, id); err != nil {
			t.Error(err)
		}
	}
	create(t, s, spec("deleted"))
	same(t, audit(t, after), "ready deleted", "ready kept", "ready trashed", "trash deleted", "trash nested", "trash old")
	if n, err := s.Reap(background, 0); n != 3 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	same(t, audit(t, after), "ready deleted", "ready kept", "ready trashed")
}
