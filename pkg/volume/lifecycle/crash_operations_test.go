// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// operations are what is killed. Each prepares what it needs, and is done once more in
// the test's own process.
var operations = map[string]struct {
	prepare, do func(s *lifecycle.Volumes) error
}{
	"create":          {nothing, createSpec(crashSpec)},
	"create retained": {nothing, createSpec(retained())},
	"take back":       {beginVolume, deleteVolume},
	"delete":          {func(s *lifecycle.Volumes) error { return makeVolume(s, volume.Trash) }, deleteVolume},
	"delete retained": {func(s *lifecycle.Volumes) error { return makeVolume(s, volume.Retain) }, deleteVolume},
	"reap":            {makeTrash, func(s *lifecycle.Volumes) error { _, err := s.Trash.Reap(volumes.Background, 0); return err }},
	"restore":         {makeTrash, volumes.RestoreOnly},
	"give way":        {makeTrash, giveWay},
	"expand":          {func(s *lifecycle.Volumes) error { return makeExpanded(s, crashSpec) }, expandTo3},
	"create enforced": {nothing, createSpec(enforced())},
	"expand enforced": {func(s *lifecycle.Volumes) error { return makeExpanded(s, enforced()) }, expandTo3},
	"modify": {createSpec(crashSpec), func(s *lifecycle.Volumes) error {
		_, err := s.Modify("vol", volume.Changes{Owner: volume.Owner{GID: volumes.Ptr[uint32](7)}, OnDelete: volume.Retain})
		return err
	}},
	"give back": {func(s *lifecycle.Volumes) error { _, err := s.Create(enforced()); return err }, deleteVolume},
	"take over": {ofDead(createSpec(crashSpec)), func(s *lifecycle.Volumes) error {
		s.Kubernetes = "test"
		_, err := s.TakeOver("vol", "dead")
		return err
	}},
	"take over entry": {makeTrash, takeOverEntries},

	"adopt":   {makeLegacy, adoptLegacy},
	"clone":   {makeCopy, createSpec(cloned())},
	"release": {func(s *lifecycle.Volumes) error { return errors.Join(makeLegacy(s), adoptLegacy(s)) }, giveBack},
}

// ofDead prepares what a Kubernetes cluster has that is gone.
func ofDead(prepare func(*lifecycle.Volumes) error) func(*lifecycle.Volumes) error {
	return func(s *lifecycle.Volumes) error {
		s.Kubernetes = "dead"
		defer func() { s.Kubernetes = "" }()
		return prepare(s)
	}
}

func takeOverEntries(s *lifecycle.Volumes) error {
	s.Kubernetes = "test"
	entries, err := s.Trash.TrashEntries()
	errs := []error{err}
	for _, e := range entries {
		_, err := s.TakeOverEntry(e.Name, e.Kubernetes())
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func createSpec(spec volume.Spec) func(*lifecycle.Volumes) error {
	return func(s *lifecycle.Volumes) error { _, err := s.Create(spec); return err }
}

func cloned() volume.Spec {
	spec := crashSpec
	spec.Source = &volume.Source{Volume: "pi/gv0/source"}
	return spec
}

// makeCopy makes the copy that becomes a volume.
func makeCopy(s *lifecycle.Volumes) error {
	return copyOf(s, func(source string) error { return os.WriteFile(filepath.Join(source, "data"), []byte("dear"), 0o600) })
}

// copyOf is makeCopy of a directory that is filled so.
func copyOf(s *lifecycle.Volumes, fill func(source string) error) (err error) {
	source, err := os.MkdirTemp("", "source")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(source)) }()
	if err := errors.Join(fill(source), unix.Chmod(source, uint32(volume.DefaultMode))); err != nil {
		return err
	}
	from, err := safepath.OpenRoot(source)
	if err != nil {
		return err
	}
	defer from.Close()
	st, err := s.BeginClone(cloned(), lifecycle.Origin{Source: *cloned().Source, Stamp: volume.StampOf("source", volume.Now())})
	if err == nil {
		_, err = s.Clones().Run(volumes.Background, *st, from, copying.Options{})
	}
	return err
}

func retained() volume.Spec {
	spec := crashSpec
	spec.OnDelete = volume.Retain
	return spec
}

// makeLegacy makes an empty directory, as a creation would: nobody may take it for one.
func makeLegacy(s *lifecycle.Volumes) error {
	at := filepath.Join(volumes.RootOf(s), crashSpec.Path)
	return errors.Join(os.MkdirAll(at, 0o755), os.Chown(at, 1001, 0), unix.Chmod(at, uint32(volume.DefaultMode)))
}

func adoptLegacy(s *lifecycle.Volumes) error {
	s.Recent = 0
	_, err := s.Adopt(volumes.Background, "vol", crashSpec.Path, 1)
	return err
}

// giveBack may be repeated.
func giveBack(s *lifecycle.Volumes) error {
	if err := s.GiveBack("vol"); !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	return nil
}

func deleteVolume(s *lifecycle.Volumes) error {
	s.Recent = 0 // what it finds half made was not begun by another host just now
	inAKubernetes(s)
	return s.Delete(volumes.Background, "vol")
}

// beginVolume leaves a volume half made.
func beginVolume(s *lifecycle.Volumes) error {
	ended := false
	volumes.StopAt(s, "create: directory made", func(s *lifecycle.Volumes) { _, _ = s.Create(crashSpec); ended = true })
	if ended {
		return errors.New("the creation was not stopped")
	}
	return nil
}

// giveWay restores an entry, and makes another volume of its ID when the data is back already.
func giveWay(s *lifecycle.Volumes) error {
	step := s.Step
	s.Step = func(point string) {
		if point == "restore: data moved back" {
			other, closeStore, err := volumes.OpenStore(volumes.RootOf(s))
			if err != nil {
				panic(err)
			}
			defer closeStore()
			if _, err := other.Create(volumes.Spec("vol")); err != nil {
				panic(err)
			}
		}
		step(point)
	}
	defer func() { s.Step = step }()
	if err := volumes.RestoreOnly(s); err != nil && !errors.Is(err, volume.ErrIncompatible) {
		return err
	}
	return nil
}

func makeVolume(s *lifecycle.Volumes, onDelete volume.OnDelete) error {
	spec := crashSpec
	spec.OnDelete = onDelete
	if _, err := s.Create(spec); err != nil {
		return err
	}
	for i := range 5 {
		if err := os.WriteFile(filepath.Join(volumes.RootOf(s), spec.Path, fmt.Sprint(i)), []byte("x"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func makeTrash(s *lifecycle.Volumes) error {
	if err := makeVolume(s, volume.Trash); err != nil {
		return err
	}
	inAKubernetes(s)
	return s.Delete(volumes.Background, "vol")
}

// inAKubernetes has what is deleted say whose it is, and that it is due at once.
func inAKubernetes(s *lifecycle.Volumes) { s.Kubernetes, s.Retention = "here", 0 }

// enforced is retained, too: then the limit is lifted.
func enforced() volume.Spec {
	spec := retained()
	spec.Quota, spec.Enforced = volume.QuotaAuto, true
	return spec
}

func makeExpanded(s *lifecycle.Volumes, spec volume.Spec) error {
	if _, err := s.Create(spec); err != nil {
		return err
	}
	_, err := s.Expand("vol", 2, 0)
	return err
}

func expandTo3(s *lifecycle.Volumes) error {
	_, err := s.Expand("vol", 3, 0)
	return err
}

var crashSpec = volume.Spec{Name: "vol", Path: "team/app/vol", Required: 1, OnDelete: volume.Trash, Owner: volume.Owner{UID: volumes.Ptr[uint32](1001)}}
