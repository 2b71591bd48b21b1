// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The mount point of a client differs between hosts and from start to start: with it no two events are the same.
func TestErrorsNameThePathOnTheGlusterVolume(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("vol"))
	if err := errors.Join(os.Mkdir(filepath.Join(mountpoint, "mine"), 0o755), os.Symlink("vol", filepath.Join(mountpoint, "link")),
		os.WriteFile(filepath.Join(mountpoint, ownDir, volumesDir, "bad.json"), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	below := spec("below")
	below.Path = "link/below"
	fails := map[string]func() error{
		"pi/gv0/mine":     func() error { _, err := s.Create(spec("mine")); return err },
		"pi/gv0/link":     func() error { _, err := s.Create(below); return err },
		"bad.json":        func() error { _, err := s.Get("bad"); return err },
		"pi/gv0/link/sub": func() error { _, _, err := s.Directory(background, Access{ID: "static", Path: "link/sub"}); return err },
	}
	for want, fail := range fails {
		err := fail()
		if err == nil || strings.Contains(err.Error(), mountpoint) || !strings.Contains(err.Error(), strings.TrimSuffix(want, "/sub")) {
			t.Errorf("want an error that names %s: %v", want, err)
		}
	}
}
