// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// An operator moves gv0 to new disks: bricks are added, and the old ones removed. What GlusterFS does not carry over
// (it leaves trusted.* xattrs of directories behind) no volume may hang on.
func TestVolumesOutliveTheirBricks(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	_, name, _ := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{})
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
	s := volumes.Open(t, before)
	nested := volumes.Spec("nested")
	nested.Path = "team/app/nested"
	first := map[string]volume.Record{}
	for _, wanted := range []volume.Spec{volumes.Spec("kept"), volumes.Spec("deleted"), volumes.Spec("trashed"), nested} {
		first[wanted.Name] = volumes.Create(t, s, wanted)
		if err := os.WriteFile(filepath.Join(before, wanted.Path, "file"), []byte(wanted.Name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	volumes.MakeSchema1(t, s, "old", "team/old")
	if err := errors.Join(s.Reconcile(volumes.Background, volumes.Unlocked), s.Delete(volumes.Background, "trashed")); err != nil {
		t.Fatal(err)
	}

	if err := errors.Join(c.AddSubvolume(name), c.FixLayout(name), c.StartRemoval(name, 0), c.FinishRemoval(name, 0)); err != nil {
		t.Fatal(err)
	}

	after := mount()
	s = volumes.Open(t, after)
	volumes.Same(t, volumes.Audit(t, after), "directory team", "directory team/app", "ready deleted", "ready kept", "ready nested", "ready old", "trash trashed")
	for id, r := range first {
		if id == "trashed" {
			continue
		}
		volumes.Publish(t, s, lifecycle.Access{ID: id})
		if data, err := os.ReadFile(filepath.Join(after, r.Path, "file")); string(data) != id {
			t.Errorf("%s: %q, %v", id, data, err)
		}
		again := volumes.Spec(id)
		again.Path = r.Path
		if have := volumes.Create(t, s, again); have.Stamp() != r.Stamp() {
			t.Errorf("%s is another volume now", id)
		}
	}
	volumes.Publish(t, s, lifecycle.Access{ID: "old"})
	inner := volumes.Spec("inner")
	inner.Path = "kept/inner"
	_, err := s.Create(inner)
	volumes.Wants(t, err, volume.ErrNested)
	if err := volumes.RestoreOnly(s); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"deleted", "nested", "old"} {
		if err := s.Delete(volumes.Background, id); err != nil {
			t.Error(err)
		}
	}
	volumes.Create(t, s, volumes.Spec("deleted"))
	volumes.Same(t, volumes.Audit(t, after), "ready deleted", "ready kept", "ready trashed", "trash deleted", "trash nested", "trash old")
	if n, err := s.Trash.Reap(volumes.Background, 0); n != 3 || err != nil {
		t.Errorf("reaped %d, %v", n, err)
	}
	volumes.Same(t, volumes.Audit(t, after), "ready deleted", "ready kept", "ready trashed")
}
