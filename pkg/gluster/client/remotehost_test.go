// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// besideMe is a mounter in this process, without the socket.
type besideMe struct {
	host  *Host
	calls atomic.Int64
	away  atomic.Bool
}

func (b *besideMe) Ensure(ctx context.Context, v gluster.Volume, options []string) (Info, error) {
	if b.away.Load() {
		return Info{}, fmt.Errorf("%w: away", gluster.ErrUnreachable)
	}
	b.calls.Add(1)
	c, err := b.host.Ensure(ctx, v, options)
	if err != nil {
		return Info{}, err
	}
	return c.Info(), nil
}

// answersWith is a mounter that says one thing.
type answersWith struct {
	info Info
	err  error
}

func (a answersWith) Ensure(context.Context, gluster.Volume, []string) (Info, error) {
	return a.info, a.err
}

// silent is a mounter that is stopped.
type silent struct{}

func (silent) Ensure(ctx context.Context, _ gluster.Volume, _ []string) (Info, error) {
	<-ctx.Done()
	return Info{}, ctx.Err()
}

// withMounter returns a mounter, and a Host that has it.
func withMounter(t *testing.T) (*besideMe, *Host) {
	t.Helper()
	m := &besideMe{host: sharedHost(t)}
	return m, remoteHost(t, m.host, m)
}

func remoteHost(t *testing.T, of *Host, m Mounter) *Host {
	t.Helper()
	h, err := NewRemoteHost(of.root.StateDir(), of.clusters, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// What the mounter has replaced is not used any more, though its process goes on.
func TestAClientThatTheMounterReplacesIsLetGo(t *testing.T) {
	m, h := withMounter(t)
	old := ensure(t, h, gv0)
	by, err := m.host.Replace(t.Context(), m.host.Running()[0], func(*meta.Reading, *meta.Reading) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	h.lookBesideMounter(t.Context())
	if running := h.Clients(); len(running) > 0 { // of the new one nothing is bound
		t.Errorf("its clients are %+v", running)
	}
	c := ensure(t, h, gv0)
	checkWorks(t, c)
	if c.device != by.device || c.device == old.device {
		t.Errorf("it uses device %v, and the mounter's are %+v", c.device, m.host.Clients())
	}
	kept, err := m.host.KeptMounts()
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept are %+v, %v", kept, err)
	}
	if err := m.host.Discard(kept[0]); err != nil {
		t.Error(err)
	}
}

func TestAMountersClientsAreUsed(t *testing.T) {
	m, h := withMounter(t)
	c := ensure(t, h, gv0, "acl")
	checkWorks(t, c)
	if infos := h.Clients(); len(infos) != 1 || !infos[0].Adopted || infos[0].Mountpoint != m.host.Clients()[0].Mountpoint {
		t.Errorf("Clients() = %+v, the mounter's are %+v", infos, m.host.Clients())
	}
	if again := ensure(t, h, gv0, "acl"); again != c || m.calls.Load() != 1 {
		t.Errorf("the mounter was called %d times for one client", m.calls.Load())
	}
	kill(t, c.process.PID)
	<-c.process.Exited()
	next := ensure(t, h, gv0, "acl") // though the mounter may not have noticed yet
	checkWorks(t, next)
	if next == c || m.calls.Load() == 1 {
		t.Error("the dead client was not replaced by the mounter")
	}
	if n := processCount(t, h); n != 1 {
		t.Errorf("%d processes run", n)
	}
}

func TestRunningClientsNeedNoMounter(t *testing.T) {
	m, h := withMounter(t)
	c := ensure(t, h, gv0)
	bind(t, c, "away")
	m.away.Store(true)
	h.Close()

	restarted := remoteHost(t, m.host, m)
	if infos := restarted.Clients(); len(infos) != 1 || infos[0].Device != c.Device() {
		t.Fatalf("Clients() = %+v, want the one with device %v", infos, c.Device())
	}
	checkWorks(t, ensure(t, restarted, gv0))
	_, err := restarted.Ensure(t.Context(), gv0, []string{"acl"})
	checkError(t, err, gluster.ErrUnreachable, "away")
}

func TestAMounterKeepsWhatIsUsedAndEndsWhatIsNot(t *testing.T) {
	m, h := withMounter(t)
	m.host.grace = 0
	c := ensure(t, h, gv0)
	m.host.detachIdleClients(t.Context())
	if err := c.Probe(t.Context()); err != nil || m.host.Clients() == nil {
		t.Fatalf("it was ended while it was used: %v", err)
	}

	// A bind keeps it too.
	target := bind(t, c, "kept")
	h.grace = 0
	if err := h.releaseIdle(); err != nil || h.Clients() == nil {
		t.Fatalf("a client that is bound here was released: %v", err)
	}
	if err := mount.Detach(target); err != nil {
		t.Fatal(err)
	}

	if err := h.releaseIdle(); err != nil || h.Clients() != nil {
		t.Fatalf("an idle client was not released: %v", err)
	}
	h.Adopt(t.Context())
	if infos := h.Clients(); infos != nil {
		t.Errorf("it was adopted again without a user: %+v", infos)
	}
	m.host.detachIdleClients(t.Context())
	checkNothingLeft(t, m.host)
	checkWorks(t, ensure(t, h, gv0))
}

func TestAClientThatIsBeingEndedIsNotFound(t *testing.T) {
	m, h := withMounter(t)
	c := ensure(t, m.host, gv0)
	s := m.host.slot(gv0, nil)
	// The mounter is at its last look for users of an idle client.
	entries, err := mount.List()
	do(t, err)
	var given *Client
	var users *statedir.Users
	s.state.with(func(s *slotState) { given, users, err = s.removeIdle(entries, 0) })
	if err != nil || given != c {
		t.Fatalf("gave up %v, %v", given, err)
	}
	found := make(chan *Client, 1)
	go func() { found <- ensure(t, h, gv0) }()
	testcluster.Eventually(t, patience, func() error {
		if from(&h.slot(gv0, nil).state, (*slotState).latest) != nil {
			t.Fatal("a client was found that is being ended")
		}
		if from(&h.slot(gv0, nil).state, (*slotState).hasNoClient) {
			return errors.New("nobody looks yet")
		}
		return nil
	})
	do(t, statedir.StartOf(c.mountpoint).Discard())
	users.Close()
	if next := <-found; next.Mountpoint() == c.Mountpoint() {
		t.Error("the client that ended was found")
	}
}

func TestWhatAHostWithAMounterDoesNotDo(t *testing.T) {
	m, h := withMounter(t)
	c := ensure(t, h, gv0)
	kill(t, c.process.PID)
	<-c.process.Exited()
	m.away.Store(true)
	_, err := h.Ensure(t.Context(), gv0, nil)
	checkError(t, err, gluster.ErrUnreachable, "away")
	kept, errKept := m.host.KeptMounts()
	if at, err := mount.At(c.Mountpoint()); len(at) != 1 || len(kept) > 0 || err != nil || errKept != nil {
		t.Errorf("the dead client's mount was moved: mounted is %+v, kept %v, %v, %v", at, kept, err, errKept)
	}
	m.away.Store(false)
	checkWorks(t, ensure(t, h, gv0))
}

func TestAMounterThatCannotBeUsed(t *testing.T) {
	owner := sharedHost(t)
	running := ensure(t, owner, gv0, "acl").Info()
	start := filepath.Join(string(owner.root.Slot(gv0, nil)), "start-x", "mnt")
	unmounted := running
	unmounted.Volume, unmounted.Options = gv0, nil
	for name, test := range map[string]struct {
		mounter  answersWith
		mentions string
	}{
		"in another PID namespace":           {answersWith{info: Info{PID: 1 << 22, Mountpoint: start}}, "hostPID"},
		"whose mounts do not come here":      {answersWith{info: unmounted}, "mountPropagation"},
		"with another state directory":       {answersWith{info: Info{PID: 1 << 22, Mountpoint: "/elsewhere/clients/x"}}, "--state-dir"},
		"that has an older clusters file":    {answersWith{err: fmt.Errorf("%w %q", gluster.ErrUnknownVolume, "gv0")}, "has not read the latest clusters file yet"},
		"that has an older clusters file, 2": {answersWith{err: fmt.Errorf("%w %q", gluster.ErrUnknownCluster, "pi")}, "has not read the latest clusters file yet"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remoteHost(t, owner, test.mounter).Ensure(t.Context(), gv0, nil)
			checkError(t, err, gluster.ErrUnreachable, gv0.String(), test.mentions)
			for _, kind := range []error{gluster.ErrUnknownVolume, gluster.ErrUnknownCluster} {
				if errors.Is(err, kind) {
					t.Errorf("it is final: %v", err)
				}
			}
		})
	}
	t.Run("and says why", func(t *testing.T) {
		_, err := remoteHost(t, owner, answersWith{err: fmt.Errorf("%w: gv0", gluster.ErrNoSuchVolume)}).Ensure(t.Context(), gv0, nil)
		checkError(t, err, gluster.ErrNoSuchVolume)
	})
}

func TestNobodyWaitsForASilentMounterLongerThanItWants(t *testing.T) {
	h := remoteHost(t, sharedHost(t), silent{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := h.Ensure(ctx, gv0, nil)
	checkError(t, err, gluster.ErrUnreachable, gv0.String(), "mounter")
	checkError(t, err, context.DeadlineExceeded)
}

// An admin command, or a node plugin without its mounter, in another container of the host.
func TestClientsOfAnotherMountNamespaceAreLeftAlone(t *testing.T) {
	dir, path := t.TempDir(), clustersPath(t, testcluster.Shared(t, testcluster.Options{}).Servers(), "gv0")
	clusters := gluster.WatchClusters(t.Context(), path, nil)
	cmd, lines := startHelper(t, dir, path, unix.CLONE_NEWNS)
	if !lines.Scan() {
		t.Fatal("the helper failed")
	}
	mountpoint := lines.Text()
	pid, ok := statedir.StartOf(mountpoint).ReadyPID()
	if !ok {
		t.Fatalf("no client at %q", mountpoint)
	}
	h := hostIn(t, dir, clusters)
	c := ensure(t, h, gv0)
	checkWorks(t, c)
	if c.process.PID == pid {
		t.Error("a client without a mount here was adopted")
	}
	if still, _ := process.Mountpoint(pid); still != mountpoint {
		t.Errorf("process %d has ended", pid)
	}
	if _, err := os.Lstat(mountpoint); err != nil {
		t.Errorf("its directory is gone: %v", err)
	}
	kill(t, pid)
	killHelper(t, cmd)
	testcluster.Eventually(t, patience, func() error {
		other, err := NewHost(dir, clusters)
		if err != nil {
			t.Fatal(err)
		}
		other.Close()
		if _, err := os.Lstat(mountpoint); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("what it left is still there: %w", err)
		}
		return nil
	})
}
