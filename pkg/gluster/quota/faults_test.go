// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package quota

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// connected waits until both clients of a side have brick i.
func (s *side) connected(i int) {
	s.t.Helper()
	for _, root := range []string{s.setter.Name(), s.pod} {
		testcluster.Eventually(s.t, patience, func() error { return testcluster.Connected(root, s.volume.Name, i) })
	}
}

// stores waits until a brick has stored this limit of a directory. That it does is the work of GlusterFS's heal.
func (s *side) stores(path string, l Limit) {
	s.t.Helper()
	testcluster.Eventually(s.t, patience, func() error {
		err := storedOn(path, l)
		if err != nil { // it looks by itself every ten minutes
			_, healErr := s.cluster.Gluster("volume", "heal", s.volume.Name)
			err = errors.Join(err, healErr)
		}
		return err
	})
}

func TestABrickThatWasDownGetsTheLimit(t *testing.T) {
	for name, options := range layouts {
		t.Run(name, func(t *testing.T) {
			s := newSide(t, options)
			set, raised := s.makeDirectory("set"), s.makeDirectory("raised")
			small, large := Choose(16*mib, DefaultHeadroom), Choose(24*mib, DefaultHeadroom)
			s.set(raised, small)
			if err := s.cluster.KillBrick(s.volume.Name, 1); err != nil {
				t.Fatal(err)
			}
			s.set(set, small)
			s.set(raised, large)
			for i := range s.bricks {
				for rel, l := range map[string]Limit{"set": small, "raised": large} {
					err := storedOn(filepath.Join(s.cluster.BrickPath(s.volume.Name, i), rel), l)
					if isDown := i == 1; (err != nil) != isDown {
						t.Errorf("%s: %v", rel, err)
					}
				}
			}
			if err := s.cluster.StartBrick(s.volume.Name, 1); err != nil {
				t.Fatal(err)
			}
			s.connected(1)
			s.stores(filepath.Join(s.cluster.BrickPath(s.volume.Name, 1), "set"), small)
			s.stores(filepath.Join(s.cluster.BrickPath(s.volume.Name, 1), "raised"), large)

			// The brick alone holds to it: the other one of its replica set is away.
			if err := s.cluster.KillBrick(s.volume.Name, 0); err != nil {
				t.Fatal(err)
			}
			s.holdsTo(set, s.bind("set"), small)
			s.holdsTo(raised, s.bind("raised"), large)
			if err := s.cluster.StartBrick(s.volume.Name, 0); err != nil {
				t.Fatal(err)
			}
			s.connected(0)
		})
	}
}

// TestAReplicaSetThatWasDownGetsTheLimit is about distributed volumes. One replica set, by the directory's name, has
// what the others are given when the name is looked up; without that one no limit can be set.
func TestAReplicaSetThatWasDownGetsTheLimit(t *testing.T) {
	s := newSide(t, layouts["2×2"])
	const down = 1 // the replica set, of bricks 2 and 3
	kept, gone := s.directoryOf(0), s.directoryOf(down)
	first, raised := Choose(16*mib, DefaultHeadroom), Choose(24*mib, DefaultHeadroom)
	s.set(kept, first)
	for _, i := range []int{2, 3} {
		if err := s.cluster.KillBrick(s.volume.Name, i); err != nil {
			t.Fatal(err)
		}
	}
	testcluster.Eventually(t, patience, func() error {
		if testcluster.Connected(s.setter.Name(), s.volume.Name, 2) == nil || testcluster.Connected(s.setter.Name(), s.volume.Name, 3) == nil {
			return errors.New("the client has not noticed")
		}
		return nil
	})
	s.set(kept, raised)
	if err := gone.SetLimit(first); err == nil {
		t.Error("a limit is set on a directory whose replica set is away")
	}
	if err := s.cluster.StartBrick(s.volume.Name, 2); err != nil { // and brick 3
		t.Fatal(err)
	}
	s.connected(2)
	s.connected(3)
	for _, i := range []int{2, 3} {
		testcluster.Eventually(t, patience, func() error {
			again, err := Open(s.setter, kept.name) // which looks the name up
			if err != nil {
				return err
			}
			again.Close()
			return storedOn(filepath.Join(s.cluster.BrickPath(s.volume.Name, i), kept.name), raised)
		})
	}
	s.set(gone, first)
	s.holdsTo(kept, s.bind(kept.name), raised)
}

// directoryOf makes one whose xattrs a replica set has before all others do.
func (s *side) directoryOf(replicaSet int) *Directory {
	s.t.Helper()
	const enough = 64
	for range enough {
		s.made++
		dir := s.makeDirectory(fmt.Sprintf("pvc-%d", s.made))
		brick := s.cluster.BrickPath(s.volume.Name, 2*replicaSet)
		if _, err := unix.Getxattr(filepath.Join(brick, dir.name), "trusted.glusterfs.dht.mds", nil); err == nil {
			return dir
		}
	}
	s.t.Fatalf("of %d directories none is replica set %d's", enough, replicaSet)
	return nil
}

func TestAReplacedBrickHasTheLimit(t *testing.T) {
	s := newSide(t, testcluster.VolumeOptions{})
	dir := s.makeDirectory("pvc")
	l := Choose(16*mib, DefaultHeadroom)
	s.set(dir, l)
	if err := writeFile(filepath.Join(s.pod, "pvc/before"), mib); err != nil {
		t.Fatal(err)
	}
	old := s.cluster.BrickPath(s.volume.Name, 1)
	replacement := filepath.Join(filepath.Dir(old), "replacement")
	server := s.cluster.Servers()[1] + ":"
	if _, err := s.cluster.Gluster("volume", "replace-brick", s.volume.Name, server+old, server+replacement, "commit", "force"); err != nil {
		t.Fatal(err)
	}
	s.stores(filepath.Join(replacement, "pvc"), l)
	s.connected(1)
	s.holdsTo(dir, s.bind("pvc"), l)
}

// state waits until the servers say what is wanted.
func (s *side) state(wanted error) State {
	s.t.Helper()
	var got State
	testcluster.Eventually(s.t, patience, func() error {
		var err error
		if got, err = read(s.t.Context(), s.volume, glusterd.Pool{Servers: s.cluster.Servers()}); err != nil {
			return err
		}
		if err := got.Check(s.volume); !errors.Is(err, wanted) {
			return fmt.Errorf("%+v is: %w", got, err)
		}
		return nil
	})
	return got
}

func TestTheCommandsTurnQuotaOn(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	s := &side{t: t, cluster: c, volume: newVolume(t, c, testcluster.VolumeOptions{}), bricks: 2}
	off := s.state(ErrOff)
	if off != (State{}) || len(off.Commands(s.volume)) != 3 {
		t.Errorf("it is off as %+v, and the commands are %q", off, off.Commands(s.volume))
	}
	s.run(off.Commands(s.volume))
	on := s.state(nil)
	if want := (State{On: true, SoftTimeout: SoftTimeout, HardTimeout: HardTimeout, DeemStatfs: true, Version: "1"}); on != want {
		t.Errorf("the commands made it %+v, want %+v", on, want)
	}
	for loosened, command := range map[string]string{
		"volume quota %s soft-timeout 1min":   "gluster volume quota %s soft-timeout 5",
		"volume quota %s hard-timeout 5":      "gluster volume quota %s hard-timeout 0",
		"volume set %s quota-deem-statfs off": "gluster volume set %s quota-deem-statfs on",
	} {
		s.run([]string{"gluster " + fmt.Sprintf(loosened, s.volume.Name)})
		loose := s.state(ErrInexact)
		if got := loose.Commands(s.volume); len(got) != 1 || got[0] != fmt.Sprintf(command, s.volume.Name) {
			t.Errorf("after %s the commands are %q", loosened, got)
		}
		s.run(loose.Commands(s.volume))
		s.state(nil)
	}
}

func TestQuotaThatWasOffHasForgottenLimitsAndTimeouts(t *testing.T) {
	s := newSide(t, testcluster.VolumeOptions{})
	dir, meanwhile := s.makeDirectory("pvc"), s.makeDirectory("meanwhile")
	l := Choose(16*mib, DefaultHeadroom)
	s.set(dir, l)
	s.run([]string{"gluster volume quota " + s.volume.Name + " disable"})
	s.state(ErrOff)
	testcluster.Eventually(t, patience, func() error {
		if got, ok, err := dir.Limit(); ok || err != nil {
			return fmt.Errorf("it has the limit %+v, %w", got, err)
		}
		if _, err := dir.Usage(); !errors.Is(err, ErrOff) {
			return fmt.Errorf("its usage: %w", err)
		}
		return nil
	})
	if err := meanwhile.SetLimit(l); err != nil {
		t.Errorf("while quota is off a limit is refused: %v", err)
	}
	s.run([]string{"gluster volume quota " + s.volume.Name + " enable"})
	again := s.state(ErrInexact)
	if want := (State{On: true, SoftTimeout: defaultSoftTimeout, HardTimeout: defaultHardTimeout, DeemStatfs: true, Version: "2"}); again != want {
		t.Errorf("turned on again it is %+v, want %+v", again, want)
	}
	s.run(again.Commands(s.volume))
	s.state(nil)
	for what, dir := range map[string]*Directory{"before": dir, "while it was off": meanwhile} {
		testcluster.Eventually(t, patience, func() error { // it counts what is there first
			if got, ok, err := dir.Limit(); ok || err != nil {
				t.Fatalf("the limit that was set %s is %+v, %v", what, got, err)
			}
			_, err := dir.Usage()
			return err
		})
		s.set(dir, l)
	}
	s.holdsTo(dir, s.bind("pvc"), l)
	s.holdsTo(meanwhile, s.bind("meanwhile"), l)
}

func TestStatesAreThoseOfTheClustersFile(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	v := newVolume(t, c, testcluster.VolumeOptions{})
	none := gluster.Volume{Cluster: testcluster.Name, Name: "none"}
	states := NewStates(clustersFile(t, c.Servers(), v.Name, none.Name))
	if got, err := states.Get(t.Context(), v); got != (State{}) || err != nil {
		t.Errorf("it is %+v, %v", got, err)
	}
	if _, err := states.Get(t.Context(), gluster.Volume{Cluster: testcluster.Name, Name: "gv0"}); !errors.Is(err, gluster.ErrUnknownVolume) {
		t.Errorf("one that is not listed: %v", err)
	}
	if _, err := states.Get(t.Context(), none); !errors.Is(err, gluster.ErrNoSuchVolume) {
		t.Errorf("one that the servers do not have: %v", err)
	}
	if err := c.StopVolume(v.Name); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t.Context(), v, glusterd.Pool{Servers: c.Servers()}); got != (State{}) || err != nil {
		t.Errorf("stopped it is %+v, %v", got, err)
	}
}
