// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// leased is a Gluster volume with a lease that one client renews, and another one looks at.
type leased struct {
	t                *testing.T
	c                *testcluster.Cluster
	renewer, watcher *lifecycle.Volumes
	roots            []string
}

// ofClients are the arguments of clients. The controller's sees ACLs, and so opens what another does not; one that trusts for
// a second what it knows has times for what is in split-brain.
var ofClients = map[string][]string{
	"the controller's client": gluster.Arguments("gv0", gluster.ControllerOptions()),
	"one without ACLs":        gluster.Arguments("gv0", []string{gluster.FreshNames}),
	"one that trusts":         gluster.Arguments("gv0", nil),
}

func newLeased(t *testing.T, arguments []string) *leased {
	t.Helper()
	l := &leased{t: t, c: testcluster.New(t, testcluster.Options{})}
	volumes.Must(t, l.c.SetOption("gv0", "cluster.self-heal-daemon", "off")) // which may or may not come between
	for _, s := range []**lifecycle.Volumes{&l.renewer, &l.watcher} {
		m, err := l.c.Mount(t.Context(), "gv0", arguments...)
		volumes.Must(t, err)
		t.Cleanup(func() { volumes.Must(t, m.Close()) })
		*s = volumes.Open(t, m.Path)
		l.roots = append(l.roots, m.Path)
	}
	l.renewer.Kubernetes = "production"
	volumes.Must(t, l.renewer.RenewLease())
	return l
}

// split has one server be away over a renewal, and then the other: nobody can change that file's time any more.
func (l *leased) split() {
	l.t.Helper()
	for brick := range 2 {
		volumes.Must(l.t, l.c.KillBrick("gv0", brick))
		l.awaits(func(root string) error {
			if testcluster.Connected(root, "gv0", brick) == nil {
				return errors.New("the brick is connected")
			}
			return nil
		})
		volumes.Must(l.t, l.renewer.RenewLease())
		volumes.Must(l.t, l.c.StartBrick("gv0", brick))
		l.awaits(func(root string) error { return testcluster.Connected(root, "gv0", brick) })
	}
	files := l.files()
	l.awaits(func(root string) error {
		if err := os.Chtimes(filepath.Join(root, files[len(files)-1]), time.Time{}, time.Now()); !errors.Is(err, unix.EIO) {
			return fmt.Errorf("it is not in split-brain: %w", err)
		}
		return nil
	})
}

func (l *leased) awaits(is func(root string) error) {
	l.t.Helper()
	for _, root := range l.roots {
		testcluster.Eventually(l.t, time.Minute, func() error { return is(root) })
	}
}

// files are those of the leases, below the root.
func (l *leased) files() []string {
	l.t.Helper()
	own := filepath.Join(volume.OwnDir, store.KubernetesDir, volumes.ShardOf("production"))
	entries, err := os.ReadDir(filepath.Join(l.roots[0], own))
	volumes.Must(l.t, err)
	var names []string
	for _, e := range entries {
		names = append(names, filepath.Join(own, e.Name()))
	}
	return names
}

func (l *leased) wantsRenewed(when string) {
	l.t.Helper()
	if lease, err := l.watcher.LookAtLease("production"); err != nil || !lease.There || lease.Unchanged != 0 {
		l.t.Errorf("%s: %+v, %v", when, lease, err)
	}
}

// A controller that runs is seen to, whatever GlusterFS says of the file whose time it has changed before.
func TestALeaseThatEachServerHasChangedAloneIsRenewed(t *testing.T) {
	for name, arguments := range ofClients {
		t.Run(name, func(t *testing.T) {
			l := newLeased(t, arguments)
			l.wantsRenewed("before")
			for range 2 {
				l.split()
				before := l.files()
				for i := range 3 {
					volumes.Must(t, l.renewer.RenewLease())
					l.wantsRenewed(fmt.Sprint("renewed after the split-brain ", i))
				}
				if after := l.files(); len(after) != 1 || after[0] == before[len(before)-1] {
					t.Errorf("the leases were %q and are %q", before, after)
				}
			}
			if lease, err := l.watcher.LookAtLease("production"); err != nil || lease.Unchanged == 0 {
				t.Errorf("it was not renewed since: %+v, %v", lease, err)
			}
		})
	}
}

// A lookup gives the times that one brick has of a file in split-brain: they do not change any more, whoever runs.
func TestOfALeaseInSplitBrainNobodySaysThatItIsUnchanged(t *testing.T) {
	for name, arguments := range ofClients {
		t.Run(name, func(t *testing.T) {
			l := newLeased(t, arguments)
			l.split()
			var err error
			for range 5 {
				var lease store.Lease
				if lease, err = l.watcher.LookAtLease("production"); err == nil {
					t.Fatalf("it is seen as %+v", lease)
				}
				volumes.Wants(t, err, volume.ErrSplitBrain)
			}
			// What the message says makes it one that can be judged.
			command := regexp.MustCompile("`gluster (volume heal gv0 split-brain source-brick) HOST:BRICK ([^`]+)`")
			cure := command.FindStringSubmatch(err.Error())
			if cure == nil {
				t.Fatal(err)
			}
			brick := l.c.Servers()[0] + ":" + l.c.BrickPath("gv0", 0)
			_, err = l.c.Gluster(append(strings.Fields(cure[1]), brick, cure[2])...)
			volumes.Must(t, err)
			testcluster.Eventually(t, time.Minute, func() error {
				lease, err := l.watcher.LookAtLease("production")
				if err == nil && lease.Unchanged == 0 {
					err = errors.New("it is seen for the first time")
				}
				return err
			})
		})
	}
}

// On a full Gluster volume there may be room for a file and none for a directory. Nobody looks for a lease in the one for all, which
// another Kubernetes cluster has made.
func TestWithoutRoomForItsDirectoryNoLeaseIsMadeWhereNobodyLooks(t *testing.T) {
	c, name, mountpoint := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{})
	s := volumes.Open(t, mountpoint)
	s.Kubernetes = "production"
	volumes.Must(t, s.RenewLease())
	directory := filepath.Join(volume.OwnDir, store.KubernetesDir, volumes.ShardOf("test"))
	for brick := range c.Bricks(name) {
		c.FailCall(t, name, brick, "?mkdir,mkdirat", directory, "ENOSPC")
	}
	s.Kubernetes = "test"
	renewErr := s.RenewLease()
	if lease, err := s.LookAtLease("test"); err != nil || lease.There != (renewErr == nil) {
		t.Errorf("it is renewed with %v, and seen as %+v, %v", renewErr, lease, err)
	}
	volumes.Wants(t, renewErr, volume.ErrNoSpace)
	s.Kubernetes = "production"
	volumes.Must(t, s.RenewLease())
}
