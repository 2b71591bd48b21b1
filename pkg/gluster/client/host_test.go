// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func sharedHost(t *testing.T) *Host {
	t.Helper()
	return newHost(t, clustersFile(t, testcluster.Shared(t, testcluster.Options{}).Servers(), "gv0"))
}

func TestEnsureStartsAClientOnce(t *testing.T) {
	h := sharedHost(t)
	began := time.Now()
	c := ensure(t, h, gv0)
	t.Logf("a new client was ready after %v", time.Since(began).Round(time.Millisecond))
	checkWorks(t, c)

	began = time.Now()
	const rounds = 1000
	for range rounds {
		if again := ensure(t, h, gv0); again != c {
			t.Fatal("a second client was started")
		}
	}
	t.Logf("a running client was found in %v", time.Since(began)/rounds)
	infos := h.Clients()
	if len(infos) != 1 || infos[0].Volume != gv0 || infos[0].Adopted || infos[0].Device != c.Device() || infos[0].Mountpoint != c.Mountpoint() {
		t.Errorf("Clients() = %+v", infos)
	}
	session, err := unix.Getsid(infos[0].PID)
	if err != nil || session != infos[0].PID {
		t.Errorf("the client is in session %d, not in one of its own: %v", session, err)
	}
	if found, err := h.ByDevice(c.Device()); err != nil || found != c || !h.Serves(c.Device()) {
		t.Errorf("ByDevice = %v, %v", found, err)
	}
	at, err := mount.At(c.Mountpoint())
	if err != nil || len(at) != 1 || !Shows(at[0], "gv0") || Shows(at[0], "v0") || !h.Owns(at[0].Target) {
		t.Errorf("mounted is %+v, %v", at, err)
	}
}

func TestADeviceWithoutAClientIsNotServed(t *testing.T) {
	h := sharedHost(t)
	if h.Serves(mount.Device{Minor: 4095}) {
		t.Error("Serves says yes")
	}
	_, err := h.ByDevice(mount.Device{Minor: 4095})
	checkError(t, err, gluster.ErrUnreachable)
}

func TestConcurrentCallersShareOneStart(t *testing.T) {
	dir := t.TempDir()
	clusters := clustersFile(t, testcluster.Shared(t, testcluster.Options{}).Servers(), "gv0")
	hosts := []*Host{hostIn(t, dir, clusters), hostIn(t, dir, clusters)}
	const callers = 16
	mountpoints := make([]string, callers)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			c, err := hosts[i%len(hosts)].Ensure(t.Context(), gv0, nil)
			if err != nil {
				t.Error(err)
				return
			}
			mountpoints[i] = c.Mountpoint()
		})
	}
	group.Wait()
	if different := slices.Compact(slices.Sorted(slices.Values(mountpoints))); len(different) != 1 {
		t.Errorf("they got %v", different)
	}
	if n := processCount(t, hosts[0]); n != 1 {
		t.Errorf("%d processes run", n)
	}
}

func TestClientsAreKeyedByTheirOptions(t *testing.T) {
	h := sharedHost(t)
	plain := ensure(t, h, gv0)
	withOptions := ensure(t, h, gv0, "log-level=WARNING", "acl")
	if plain == withOptions {
		t.Fatal("different options share a client")
	}
	if again := ensure(t, h, gv0, "acl", "log-level=WARNING", "acl"); again != withOptions {
		t.Error("equal options in another order do not share a client")
	}
	if n := processCount(t, h); n != 2 {
		t.Errorf("%d processes run", n)
	}
}

func TestTheMemoryOfAClientIsBounded(t *testing.T) {
	c := ensure(t, sharedHost(t), gv0)
	meta := filepath.Join(c.Mountpoint(), ".meta")
	for path, want := range map[string]string{
		"graphs/active/gv0-quick-read/options/cache-size": "32MB",
		"cmdline": "--lru-limit=16384",
	} {
		data, err := os.ReadFile(filepath.Join(meta, path))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s: %q, %v, want %q", path, data, err, want)
		}
	}
}

// Two clients stand for two nodes: each has a page cache of its own.
func TestAnOpenFileShowsWhatAnotherNodeWrites(t *testing.T) {
	h := sharedHost(t)
	here, there := ensure(t, h, gv0), ensure(t, h, gv0, "log-level=WARNING")
	writer, err := os.Create(filepath.Join(here.Mountpoint(), "shared"))
	do(t, err)
	defer func() { _ = writer.Close() }()
	write := func(text string) { // in place: where texts are as long as each other, nothing but the file's time shows the change
		_, err := writer.WriteAt([]byte(text), 0)
		do(t, err, writer.Sync())
	}
	write("before")
	reader, err := os.Open(filepath.Join(there.Mountpoint(), "shared"))
	do(t, err)
	defer func() { _ = reader.Close() }()
	shows := func(want string) error {
		data := make([]byte, len(want))
		if _, err := reader.ReadAt(data, 0); err != nil {
			return err
		}
		if string(data) != want {
			return fmt.Errorf("it shows %q, not %q", data, want)
		}
		return nil
	}
	do(t, shows("before"))
	write("behind")
	testcluster.Eventually(t, patience, func() error { return shows("behind") })
}

func TestADeadClientIsReplaced(t *testing.T) {
	h := sharedHost(t)
	dead := ensure(t, h, gv0)
	kill(t, dead.process.PID)
	<-dead.process.Exited() // until then its last answer counts
	c := ensure(t, h, gv0)
	checkWorks(t, c)
	if c == dead || c.Mountpoint() == dead.Mountpoint() {
		t.Error("the new client is on the old one's mount point")
	}
	if _, err := os.Lstat(dead.Mountpoint()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead client's mount point is still there: %v", err)
	}
	if n := mountCount(t, h); n != mountsOfOne {
		t.Errorf("%d mounts", n)
	}
	if h.Serves(dead.Device()) && dead.Device() != c.Device() {
		t.Error("the dead client's device is served")
	}
	checkError(t, dead.Probe(t.Context()), gluster.ErrUnreachable, "has ended")
}

func TestAClientUnmountedByHandIsReplaced(t *testing.T) {
	h := sharedHost(t)
	old := ensure(t, h, gv0)
	fd, err := unix.Open(old.Mountpoint(), unix.O_PATH|unix.O_CLOEXEC, 0) // a last user
	if err != nil {
		t.Fatal(err)
	}
	if err := mount.Detach(old.Mountpoint()); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, patience, func() error {
		if c := ensure(t, h, gv0); c == old { // as long as its last answer counts
			return errors.New("the client without a mount is still used")
		}
		return nil
	})
	if n := processCount(t, h); n != 2 {
		t.Errorf("%d processes run; the old one was in use and should have been left alone", n)
	}
	kept, err := h.KeptMounts() // for the repair of what else shows it
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept are %+v, %v", kept, err)
	}
	if err := errors.Join(h.Discard(kept[0]), unix.Close(fd)); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, patience, func() error {
		if n := processCount(t, h); n != 1 {
			return fmt.Errorf("%d processes run", n)
		}
		return nil
	})
}

func TestEnsureRefusesWhatTheClustersFileDoesNotAllow(t *testing.T) {
	h := sharedHost(t)
	for _, test := range []struct {
		name    string
		volume  gluster.Volume
		options []string
		want    error
	}{
		{"a cluster it does not name", gluster.Volume{Cluster: "other", Name: "gv0"}, nil, gluster.ErrUnknownCluster},
		{"a volume it does not list", gluster.Volume{Cluster: "pi", Name: "gv1"}, nil, gluster.ErrUnknownVolume},
		{"a name that climbs", gluster.Volume{Cluster: "pi", Name: "../gv0"}, nil, gluster.ErrUnknownVolume},
		{"an option that clients may not have", gv0, []string{"xlator-option=*.x=y"}, gluster.ErrOption},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := h.Ensure(t.Context(), test.volume, test.options)
			checkError(t, err, test.want)
		})
	}
	missing, err := NewHost(t.TempDir(), gluster.WatchClusters(t.Context(), filepath.Join(t.TempDir(), "none.yaml"), nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = missing.Ensure(t.Context(), gv0, nil)
	checkError(t, err, gluster.ErrNotLoaded)
}

func TestEveryAllowedOptionIsTakenByTheProgram(t *testing.T) {
	h := sharedHost(t)
	seconds := []string{"0", "2.5", "999999.999"}
	extremes := map[string][]string{ // values at the ends of what is allowed
		"attribute-timeout": seconds, "entry-timeout": seconds, "negative-timeout": seconds, "gid-timeout": {"0", "1048576"},
		"background-qlen": {"16", "65535"}, "congestion-threshold": {"12", "65535"},
		"lru-limit": {"0", "1073741824"}, "reader-thread-count": {"1", "64"},
	}
	for _, option := range gluster.AllowedOptions() {
		var arguments []string
		switch {
		case option.Value == "":
			arguments = []string{option.Name}
		case extremes[option.Name] != nil:
			for _, value := range extremes[option.Name] {
				arguments = append(arguments, option.Name+"="+value)
			}
		default:
			for value := range strings.SplitSeq(option.Value, "|") {
				arguments = append(arguments, option.Name+"="+value)
			}
		}
		for _, argument := range arguments {
			t.Run(argument, func(t *testing.T) {
				checkWorks(t, ensure(t, h, gv0, argument))
				if err := h.detachStarted(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestAClientIsDetachedWhenIdle(t *testing.T) {
	h := sharedHost(t)
	h.grace = 0
	detach := func() { h.detachIdleClients(t.Context()) }

	t.Run("not while it is held", func(t *testing.T) {
		c := ensure(t, h, gv0)
		release := c.Hold()
		detach()
		if err := c.Probe(t.Context()); err != nil || h.Clients() == nil {
			t.Fatalf("it is gone: %v", err)
		}
		release()
		release() // again: no more than once
		second := c.Hold()
		detach()
		if h.Clients() == nil {
			t.Error("a release that was called twice ended another hold")
		}
		second()
	})
	t.Run("not while it is bound somewhere", func(t *testing.T) {
		c := ensure(t, h, gv0)
		target := t.TempDir()
		fd, err := unix.Open(c.Mountpoint(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(mount.Bind(fd, target, 0), unix.Close(fd)); err != nil {
			t.Fatal(err)
		}
		detach()
		if h.Clients() == nil {
			t.Error("it was detached")
		}
		if err := mount.Detach(target); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("not before the grace is over", func(t *testing.T) {
		ensure(t, h, gv0)
		h.grace = time.Hour
		detach()
		h.grace = 0
		if h.Clients() == nil {
			t.Error("it was detached")
		}
	})
	t.Run("not while another Host uses it", func(t *testing.T) {
		c := ensure(t, h, gv0)
		other, err := NewHost(h.root.StateDir(), h.clusters)
		if err != nil {
			t.Fatal(err)
		}
		found := ensure(t, other, gv0)
		if !other.Clients()[0].Adopted || found.Mountpoint() != c.Mountpoint() {
			t.Error("it was not adopted")
		}
		detach()
		if err := errors.Join(h.detachStarted(t.Context()), found.Probe(t.Context())); err != nil || h.Clients() == nil {
			t.Errorf("it was detached: %v", err)
		}
		if err := other.detachStarted(t.Context()); err != nil || h.Clients() == nil {
			t.Errorf("the other Host, which had not started it, detached it: %v", err)
		}
		other.Close()
	})
	t.Run("and ends when its last descriptor is closed", func(t *testing.T) {
		c := ensure(t, h, gv0)
		root, err := os.Open(c.Mountpoint())
		if err != nil {
			t.Fatal(err)
		}
		detach()
		if h.Clients() != nil || mountCount(t, h) != 0 {
			t.Error("it was not detached")
		}
		if _, err := os.Lstat(c.Mountpoint()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("its mount point is still there: %v", err)
		}
		if _, err := root.Readdirnames(-1); err != nil {
			t.Errorf("its last user lost it: %v", err)
		}
		next := ensure(t, h, gv0)
		if next == c {
			t.Error("a detached client was used again")
		}
		if err := root.Close(); err != nil {
			t.Fatal(err)
		}
		detach()
		checkNothingLeft(t, h)
	})
}

func TestARunningClientIsUsedByHostsThatComeLater(t *testing.T) {
	h := sharedHost(t)
	c := ensure(t, h, gv0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	cancel()
	<-done
	later, err := NewHost(h.root.StateDir(), h.clusters)
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	if infos := later.Clients(); len(infos) != 1 || infos[0].PID != c.process.PID || !infos[0].Adopted {
		t.Errorf("Clients() = %+v, want the one of process %d", infos, c.process.PID)
	}
}

func TestTheDescriptorOfADetachedClientIsClosed(t *testing.T) {
	h := sharedHost(t)
	c := ensure(t, h, gv0)
	testcluster.Eventually(t, patience, func() error { c.Checkup(t.Context()); return c.Observed().ReadErr })
	if err := h.detachStarted(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-c.process.Exited()
	<-c.prober.AskState()
	if err := c.Observed().ReadErr; !errors.Is(err, meta.ErrNotOpen) {
		t.Errorf("it can be read still: %v", err)
	}
}

// On the host nothing may show it any more, and a container still does.
func TestADeadClientIsNotDetachedAsAnIdleOne(t *testing.T) {
	h := sharedHost(t)
	c := ensure(t, h, gv0)
	kill(t, c.process.PID)
	<-c.process.Exited()
	h.grace = 0
	h.detachIdleClients(t.Context())
	h.Adopt(t.Context())
	if kept, err := h.KeptMounts(); len(kept) != 1 || err != nil {
		t.Errorf("its mount is not kept for the repair: %+v, %v", kept, err)
	}
}
