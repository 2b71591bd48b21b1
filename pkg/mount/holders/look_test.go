// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package holders

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ask"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
	"github.com/glusterfs-csi/glusterfs-csi/tests/oldkernel"
	"github.com/glusterfs-csi/glusterfs-csi/tests/programs"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) {
	programs.Main()
	container.Main(clients.Verbs())
	testcluster.Main(m)
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// of is what is to be looked for of a client: all its mounts here.
func of(t *testing.T, device mount.Device) Wanted {
	t.Helper()
	w := Wanted{Devices: map[mount.Device]bool{device: true}, Mounts: map[int]bool{}}
	entries, err := mount.List()
	must(t, err)
	for _, e := range entries {
		if e.Device == device {
			w.Mounts[e.ID] = true
		}
	}
	return w
}

// held is a process of each kind.
type held struct {
	shell, reader, mapper, dweller, chrooted int // PIDs
	link                                     string
}

func hold(t *testing.T, dir string) held {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, "data"), []byte("data\n"), 0o600), os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	h := held{
		shell: programs.Shell(t, "exec 3>>"+filepath.Join(dir, "log")+" 4<"+filepath.Join(dir, "data")),
		// It never looks at its file again: a program that does, as tail -f, ends with the client.
		reader:   programs.Shell(t, "exec 3<"+filepath.Join(dir, "data")),
		mapper:   programs.Mapper(t, filepath.Join(dir, "data")),
		dweller:  programs.Shell(t, "cd "+filepath.Join(dir, "sub")),
		chrooted: programs.Chrooted(t, filepath.Join(dir, "sub")),
	}
	h.link = fmt.Sprintf("/proc/%d/fd/3", h.shell)
	return h
}

// check says whether a look finds all of them, and each for what it has.
func (h held) check(t *testing.T, found Found, id int) {
	t.Helper()
	want := map[int]Hold{
		h.shell: {Files: 2, Writable: 1}, h.reader: {Files: 1}, h.mapper: {Mapped: 2}, h.dweller: {Cwd: true}, h.chrooted: {Cwd: true, Root: true},
	}
	for _, p := range found.Processes {
		w, ours := want[p.PID]
		if !ours {
			t.Errorf("process %d (%s) is said to hold %+v", p.PID, p.Command, p.Holds)
			continue
		}
		delete(want, p.PID)
		w.Device, w.Mount = p.Holds[0].Device, id
		if len(p.Holds) != 1 || p.Holds[0] != w {
			t.Errorf("process %d (%s) is said to hold %+v, want %+v", p.PID, p.Command, p.Holds, w)
		}
	}
	if len(want) > 0 {
		t.Errorf("not found: %+v", want)
	}
}

func TestALookFindsWhoHoldsADeadClient(t *testing.T) { lookAtDead(t) }

// Without the mount's ID in statx(2), which came with Linux 5.8.
func TestALookFindsWhoHoldsADeadClientOnLinux5_4(t *testing.T) {
	oldkernel.On(t, oldkernel.Linux5_4, lookAtDead)
}

func lookAtDead(t *testing.T) {
	h := clients.SharedHost(t)
	c := clients.Ensure(t, h, clients.GV0())
	clients.MakeFile(t, c, "dead-"+t.Name())
	target := clients.Bind(t, c, "/dead-"+t.Name(), 0)
	all := hold(t, target)
	at, err := mount.At(target)
	must(t, err)
	wanted := of(t, c.Device())
	clients.Kill(t, c)
	if err := askFileSystem(all.link); !errors.Is(err, unix.ENOTCONN) {
		t.Errorf("the client is not dead: %v", err)
	}
	h.Adopt(t.Context())          // which keeps its own mounts
	must(t, mount.Detach(target)) // as a repair does
	l, err := NewLooker()
	must(t, err)
	found, err := l.Look(t.Context(), wanted)
	must(t, err)
	all.check(t, found, at[0].ID)
	some, err := l.LookAt(t.Context(), wanted, []int{all.shell, os.Getpid()})
	must(t, err)
	_, start, _ := Stat(all.shell)
	if len(some.Processes) != 1 || some.Processes[0].PID != all.shell || some.Processes[0].Start != start {
		t.Errorf("of one: %+v", some)
	}
}

// A client that is stopped answers nobody.
func TestNothingThatALookDoesWaits(t *testing.T) {
	h := clients.SharedHost(t)
	c := clients.Ensure(t, h, clients.GV0())
	clients.MakeFile(t, c, "hung")
	target := clients.Bind(t, c, "/hung", 0)
	all := hold(t, target)
	at, err := mount.At(target)
	must(t, err)
	clients.Signal(t, c, unix.SIGSTOP)
	defer clients.Signal(t, c, unix.SIGCONT)
	l, err := NewLooker()
	must(t, err)
	waited := make(chan error, 1)
	asks := func() { waited <- askFileSystem(all.link) } // which is what a look does not do
	go asks()
	testcluster.Eventually(t, clients.Patience, func() error {
		select {
		case err := <-waited: // it was answered before all threads of the client had stopped
			must(t, err)
			go asks()
		default:
		}
		return isAsked(c)
	})
	found, err := l.Look(t.Context(), of(t, c.Device()))
	must(t, err)
	all.check(t, found, at[0].ID)
	if len(found.Unknown) > 0 {
		t.Errorf("processes %d could not be looked at", found.Unknown)
	}
	select {
	case err := <-waited:
		t.Errorf("the client does not hang: %v", err)
	default:
	}
	clients.Signal(t, c, unix.SIGCONT)
	select {
	case err := <-waited:
		must(t, err)
	case <-time.After(clients.Patience):
		t.Error("the client hangs on")
	}
}

// askFileSystem asks the file system what a link leads to.
func askFileSystem(link string) error {
	var stat unix.Statx_t
	return unix.Statx(unix.AT_FDCWD, link, unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &stat)
}

// isAsked says whether a request waits for a client.
func isAsked(c *client.Client) error {
	root, err := control()
	if err != nil {
		return err
	}
	fd, err := unix.Openat(root, fmt.Sprintf("%d/waiting", c.Device().Minor), unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), "waiting")
	defer file.Close()
	var n int
	if _, err := fmt.Fscan(file, &n); err != nil || n == 0 {
		return fmt.Errorf("%d requests wait: %w", n, err)
	}
	return nil
}

// The IDs of mounts that nobody has any more are given to others.
func TestAMountThatHasTheIDOfADeadOneIsNotTakenForIt(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "log"), nil, 0o600))
	at := programs.MountOf(t, dir)
	l, err := NewLooker()
	must(t, err)
	pid := programs.Shell(t, "exec 3>>"+filepath.Join(dir, "log"))
	other := at.Device
	other.Minor++
	found, err := l.Look(t.Context(), Wanted{Devices: map[mount.Device]bool{other: true}, Mounts: map[int]bool{at.ID: true}})
	must(t, err)
	if len(found.Processes) > 0 {
		t.Errorf("found %+v", found.Processes)
	}
	found, err = l.LookAt(t.Context(), Wanted{Devices: map[mount.Device]bool{at.Device: true}, Mounts: map[int]bool{at.ID: true}}, []int{pid})
	must(t, err)
	if len(found.Processes) != 1 || !slices.ContainsFunc(found.Processes[0].Holds, func(h Hold) bool { return h.Writable > 0 && h.Mount == at.ID }) {
		t.Errorf("found %+v", found.Processes)
	}
}

// Whoever asks for one process is told that it was not looked at: it may hold what it held.
func TestWhoIsNotLookedAtIsNamed(t *testing.T) {
	l, err := NewLooker()
	must(t, err)
	silent, other := programs.Shell(t, "true"), programs.Shell(t, "true")
	answer := make(chan struct{})
	_, err = ask.Process(silent, func() (struct{}, error) { return <-answer, nil }, nil)
	if !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("it answers: %v", err)
	}
	found, err := l.LookAt(t.Context(), Wanted{}, []int{silent, other})
	must(t, err)
	if !slices.Equal(found.Unknown, []int{silent}) {
		t.Errorf("unknown are %d, want %d", found.Unknown, silent)
	}
	close(answer)
	testcluster.Eventually(t, clients.Patience, func() error {
		found, err := l.LookAt(t.Context(), Wanted{}, []int{silent, other})
		if len(found.Unknown) > 0 {
			return errors.Join(fmt.Errorf("it is left out for ever: %d", found.Unknown), err)
		}
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	found, err = l.LookAt(ctx, Wanted{}, []int{other, silent})
	if err == nil || len(found.Unknown) != 2 {
		t.Errorf("when there is no time, unknown are %d, %v", found.Unknown, err)
	}
}

func TestAConnectionThatIsGoneIsAnother(t *testing.T) {
	h := clients.SharedHost(t)
	c := clients.Ensure(t, h, clients.GV0())
	before, err := Connection(c.Device())
	must(t, err)
	if again, err := Connection(c.Device()); before == 0 || again != before || err != nil {
		t.Errorf("it is %d, and then %d, %v", before, again, err)
	}
	clients.Kill(t, c)
	h.Adopt(t.Context())
	kept, err := h.KeptMounts()
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept are %v, %v", kept, err)
	}
	must(t, h.Discard(kept[0]))
	testcluster.Eventually(t, clients.Patience, func() error {
		if id, err := Connection(c.Device()); id == before || err != nil {
			return errors.Join(fmt.Errorf("it is still there: %d", id), err)
		}
		return nil
	})
}
