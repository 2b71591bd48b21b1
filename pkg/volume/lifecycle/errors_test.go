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
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// The mount point of a client differs between hosts and from start to start: with it no two events are the same.
func TestErrorsNameThePathOnTheGlusterVolume(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	if err := errors.Join(os.Mkdir(filepath.Join(mountpoint, "mine"), 0o755), os.Symlink("vol", filepath.Join(mountpoint, "link")),
		os.WriteFile(filepath.Join(mountpoint, volume.OwnDir, owndir.VolumesDir, "bad.json"), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	below := volumes.Spec("below")
	below.Path = "link/below"
	fails := map[string]func() error{
		"pi/gv0/mine": func() error { _, err := s.Create(volumes.Spec("mine")); return err },
		"pi/gv0/link": func() error { _, err := s.Create(below); return err },
		"bad.json":    func() error { _, err := s.Get("bad"); return err },
		"pi/gv0/link/sub": func() error {
			_, _, err := s.Directory(volumes.Background, lifecycle.Access{ID: "static", Path: "link/sub"})
			return err
		},
	}
	for want, fail := range fails {
		err := fail()
		if err == nil || strings.Contains(err.Error(), mountpoint) || !strings.Contains(err.Error(), strings.TrimSuffix(want, "/sub")) {
			t.Errorf("want an error that names %s: %v", want, err)
		}
	}
}
