// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

// The repair needs open_tree, which qemu-user, where the tests run as arm64, does not know.

package mount

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// loss is a dead file system and the one that takes its place: two of tmpfs, which differ in nothing but what the
// files say, "old" and "new". What was made in the same order in both has the same inode number (since Linux 5.9,
// where each tmpfs has numbers of its own), as a directory has in two clients of a Gluster volume. A dead tmpfs still
// answers; that nothing is asked of a dead one is for TestRepairNeverAsks… and the tests with GlusterFS.
type loss struct {
	dir, old, new string
	held          *Held // the old one
	repairer      Repairer
	dead          Device
	opens         int
}

var lossTree = []string{"pvc-1/file", "pvc-1/sub/file", "pvc-1/sub/app.ini", "pvc-1/below/file", "pvc-2/file"}

func newLoss(t testing.TB, dir string) *loss {
	t.Helper()
	l := &loss{dir: dir, old: filepath.Join(dir, "old"), new: filepath.Join(dir, "new")}
	mountLossTree(t, l.old)
	mountLossTree(t, l.new)
	l.hold(t, l.old)
	return l
}

func mountLossTree(t testing.TB, root string) {
	t.Helper()
	must(t, "mount", errors.Join(os.Mkdir(root, 0o755), unix.Mount("test", root, "tmpfs", 0, "size=64m")))
	for _, path := range lossTree {
		path = filepath.Join(root, path)
		must(t, "write", errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(filepath.Base(root)), 0o600)))
	}
}

// volumes makes further directories in both.
func (l *loss) volumes(t testing.TB, count int) {
	t.Helper()
	for _, root := range []string{l.old, l.new} {
		for i := range count {
			dir := makeDirs(t, root, fmt.Sprintf("volume-%d", i))[0]
			must(t, "write", os.WriteFile(filepath.Join(dir, "file"), []byte(filepath.Base(root)), 0o600))
		}
	}
}

// next has what took the place of the dead file system be the dead one, and another one take its place.
func (l *loss) next(t testing.TB, volumes int) {
	t.Helper()
	l.old, l.new = l.new, l.new+"x"
	l.hold(t, l.old)
	mountLossTree(t, l.new)
	for i := range volumes {
		writeFile(t, filepath.Join(makeDirs(t, l.new, fmt.Sprintf("volume-%d", i))[0], "file"), filepath.Base(l.new))
	}
}

func (l *loss) hold(t testing.TB, target string) {
	t.Helper()
	held, err := Hold(target)
	must(t, "Hold", err)
	l.held, l.dead = held, held.Device()
	t.Cleanup(func() { must(t, "close", held.Close()) })
}

func (l *loss) open(root string) (int, error) {
	l.opens++
	fd, err := unix.Open(filepath.Join(l.new, root), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var stat unix.Stat_t
	if err = unix.Fstat(fd, &stat); err == nil && stat.Mode&unix.S_IFMT == unix.S_IFLNK {
		err = unix.ELOOP
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// repair repairs all mounts but the client's own, by which it is held.
func (l *loss) repair(t testing.TB) Report {
	t.Helper()
	report, err := runRepair(t.Context(), &l.repairer, map[*Held]Open{l.held: l.open})
	if err != nil {
		t.Fatalf("Repair: %v", err)
	}
	return report
}

// bind binds a path of the old file system onto a new directory or file of the host.
func (l *loss) bind(t *testing.T, source, target string) string {
	t.Helper()
	source, target = filepath.Join(l.old, source), filepath.Join(l.dir, target)
	stat, err := os.Stat(source)
	must(t, "stat", err)
	if stat.IsDir() {
		must(t, "mkdir", os.MkdirAll(target, 0o755))
	} else {
		must(t, "mkdir", os.MkdirAll(filepath.Dir(target), 0o755))
		writeFile(t, target, "")
	}
	must(t, "bind", unix.Mount(source, target, "", unix.MS_BIND, ""))
	return target
}

// left is how many mounts of dead devices a repair has left, whichever they are.
func left(report Report) int {
	n := 0
	for _, mounts := range report.Left {
		n += mounts
	}
	return n
}

// expectRepaired says that so many mounts were, and none is left that is seen.
func expectRepaired(t testing.TB, report Report, n int) {
	t.Helper()
	if got := report.Repaired(); got != n || len(report.Stale) != 0 || left(report) != report.OnTop {
		t.Errorf("repaired %d, want %d: %+v", got, n, report)
	}
}

func expectStale(t *testing.T, report Report, target string, want error) {
	t.Helper()
	if len(report.Stale) != 1 || left(report) == 0 {
		t.Fatalf("one mount must stay dead, at %s: %+v", target, report)
	}
	if got := report.Stale[0]; got.Target != target || !errors.Is(got.Err, want) || got.PID == 0 || got.Namespace == 0 {
		t.Errorf("got %+v, want %s with error %v", got, target, want)
	}
}

func expectContent(t *testing.T, path, want string) {
	t.Helper()
	if got := readFile(t, path); got != want {
		t.Errorf("%s says %q, want %q", path, got, want)
	}
}

// topAt returns the mount that a path reaches.
func topAt(t *testing.T, target string) Entry {
	t.Helper()
	stack := mountsAt(t, target)
	if len(stack) == 0 {
		t.Fatalf("nothing is mounted at %s", target)
	}
	return stack[len(stack)-1]
}

// TestRepair holds on every kernel that can repair at all, whether beneath or on top.
func TestRepair(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, l *loss){
		"shows the same directory of the living tree":    repairDirectory,
		"takes a file for a root":                        repairFile,
		"takes the top of the file system for a root":    repairTop,
		"keeps flags and atime mode":                     repairAttributes,
		"keeps the flags of the new client to itself":    repairOnlyOwnAttributes,
		"leaves a dead mount that is covered":            repairCovered,
		"repairs the top of a stack":                     repairStack,
		"keeps what is mounted below":                    repairAboveALivingMount,
		"repairs what is dead and mounted below":         repairAboveADeadMount,
		"leaves it dead if the root is missing":          repairMissing,
		"leaves it dead if the root is a link":           repairLink,
		"leaves it dead if another has the name":         repairDeleted,
		"leaves it dead if another has the path":         repairRenamed,
		"leaves it dead if a mount point is missing":     repairWithoutMountPoint,
		"leaves it dead while nothing takes its place":   repairWithoutReplacement,
		"repairs several devices that lie in each other": repairTwoDevices,
		"does nothing when repeated":                     repairTwice,
		"touches no mount of other devices":              repairNothingElse,
		"takes odd names":                                repairOddNames,
	} {
		t.Run(name, func(t *testing.T) { test(t, newLoss(t, isolate(t))) })
	}
}

func repairDirectory(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	expectRepaired(t, l.repair(t), 1)
	expectContent(t, filepath.Join(target, "file"), "new")
	if got := topAt(t, target); got.Root != "/pvc-1" || groupsOf(t, got.ID) != "" {
		t.Errorf("got %+v", got)
	}
}

// groupsOf is peerGroups for a mount in a stack.
func groupsOf(t *testing.T, id int) string {
	t.Helper()
	for line := range strings.Lines(readFile(t, mountInfoPath)) {
		e, err := parseLine(line)
		must(t, "parse", err)
		if fields := strings.Fields(line); e.ID == id {
			return strings.Join(fields[6:slices.Index(fields, "-")], " ")
		}
	}
	t.Fatalf("no mount %d", id)
	return ""
}

func repairFile(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1/sub/app.ini", "volume-subpaths/app.ini")
	expectRepaired(t, l.repair(t), 1)
	expectContent(t, target, "new")
}

func repairTop(t *testing.T, l *loss) {
	target := l.bind(t, "", "target")
	expectRepaired(t, l.repair(t), 1)
	expectContent(t, filepath.Join(target, "pvc-1/file"), "new")
}

func repairAttributes(t *testing.T, l *loss) {
	modes := map[string]uintptr{
		"rw,relatime":                          unix.MS_RELATIME,
		"rw":                                   unix.MS_STRICTATIME,
		"ro,nosuid,nodev,noexec,noatime":       unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME,
		"rw,noexec,nodiratime,relatime":        unix.MS_NOEXEC | unix.MS_NODIRATIME | unix.MS_RELATIME,
		"ro,nodiratime":                        unix.MS_RDONLY | unix.MS_NODIRATIME | unix.MS_STRICTATIME,
		"rw,nosuid,nodev,relatime,nosymfollow": unix.MS_NOSUID | unix.MS_NODEV | unix.MS_RELATIME | unix.MS_NOSYMFOLLOW,
		"ro,nosuid,nodev,noexec,relatime":      unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RELATIME,
	}
	targets := map[string]string{}
	for options, flags := range modes {
		targets[options] = l.bind(t, "pvc-1", "target-"+options)
		must(t, "remount", unix.Mount("", targets[options], "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""))
	}
	expectRepaired(t, l.repair(t), len(modes))
	for options, target := range targets {
		expectContent(t, filepath.Join(target, "file"), "new")
		if got := optionsOf(t, topAt(t, target).ID); got != options {
			t.Errorf("what was %s is %s", options, got)
		}
	}
}

func optionsOf(t *testing.T, id int) string {
	t.Helper()
	for line := range strings.Lines(readFile(t, mountInfoPath)) {
		if e, err := parseLine(line); err == nil && e.ID == id {
			return strings.Fields(line)[5]
		}
	}
	return ""
}

func repairOnlyOwnAttributes(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	must(t, "remount", unix.Mount("", l.new, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOEXEC|unix.MS_NOATIME, ""))
	expectRepaired(t, l.repair(t), 1)
	if got := optionsOf(t, topAt(t, target).ID); got != "rw,relatime" {
		t.Errorf("got %s", got)
	}
}

func repairCovered(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	mountTmpfs(t, target)
	hidden := l.bind(t, "pvc-2", "parent/target")
	mountTmpfs(t, filepath.Dir(hidden))
	between := l.bind(t, "pvc-2", "a/b/target")
	mountTmpfs(t, filepath.Join(l.dir, "a"))
	before := mountCount(t)
	report := l.repair(t)
	if report.Repaired()+len(report.Stale) != 0 || left(report) != 3 || mountCount(t) != before {
		t.Errorf("%d mounts, %d before: %+v", mountCount(t), before, report)
	}
	// Once it can be seen again, it is repaired.
	must(t, "unmount", unix.Unmount(target, 0))
	must(t, "unmount", unix.Unmount(filepath.Dir(hidden), 0))
	must(t, "unmount", unix.Unmount(filepath.Join(l.dir, "a"), 0))
	expectRepaired(t, l.repair(t), 3)
	expectContent(t, filepath.Join(between, "file"), "new")
}

func repairStack(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	l.stack(t, "pvc-2", target)
	report := l.repair(t)
	if report.Repaired() != 1 || len(report.Stale) != 0 || left(report) != 1 {
		t.Errorf("got %+v", report)
	}
	if got := mountsAt(t, target); len(got) != 2 || got[1].Root != "/pvc-2" || got[1].Device == l.dead {
		t.Errorf("got %+v, want the living mount on one dead one", got)
	}
}

func (l *loss) stack(t *testing.T, source, target string) {
	t.Helper()
	must(t, "bind", unix.Mount(filepath.Join(l.old, source), target, "", unix.MS_BIND, ""))
}

func repairAboveALivingMount(t *testing.T, l *loss) {
	other := makeDirs(t, l.dir, "other/cache")[0]
	writeFile(t, filepath.Join(other, "file"), "kept")
	target := l.bind(t, "pvc-1", "target")
	below := filepath.Join(target, "below")
	must(t, "bind", unix.Mount(other, below, "", unix.MS_BIND, ""))
	must(t, "remount", unix.Mount("", below, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NODEV, ""))
	writeFile(t, filepath.Join(target, "sub/app.ini"), "old")
	must(t, "bind", unix.Mount(filepath.Join(other, "file"), filepath.Join(target, "sub/app.ini"), "", unix.MS_BIND, ""))
	deeper := makeDirs(t, l.dir, "other/deeper", "other/cache/deeper")[0]
	writeFile(t, filepath.Join(deeper, "file"), "kept")
	must(t, "bind", unix.Mount(deeper, filepath.Join(below, "deeper"), "", unix.MS_BIND, ""))

	expectRepaired(t, l.repair(t), 1)
	expectContent(t, filepath.Join(target, "file"), "new")
	for _, path := range []string{"below/file", "below/deeper/file", "sub/app.ini"} {
		expectContent(t, filepath.Join(target, path), "kept")
	}
	if got := topAt(t, below).Flags; got != ReadOnly|NoDev {
		t.Errorf("the mount below has become %s", got)
	}
}

// TestRepairKeepsAMountThatIsNowhereElse is not for kernels before 5.12, which have no
// safe way to it. A tmpfs never forgets the names on that way, as FUSE does.
func TestRepairKeepsAMountThatIsNowhereElse(t *testing.T) {
	l := newLoss(t, isolate(t))
	target := l.bind(t, "pvc-1", "target")
	below := filepath.Join(target, "below")
	mountTmpfs(t, below)
	mountTmpfs(t, makeDirs(t, below, "deeper")[0])
	writeFile(t, filepath.Join(below, "deeper/file"), "kept")
	expectRepaired(t, l.repair(t), 1)
	expectContent(t, filepath.Join(target, "file"), "new")
	expectContent(t, filepath.Join(below, "deeper/file"), "kept")
}

func repairAboveADeadMount(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	l.bind(t, "pvc-2", "target-2") // as the host has one of each volume that a container has
	below := filepath.Join(target, "below")
	l.stack(t, "pvc-2", below)
	must(t, "remount", unix.Mount("", below, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))

	report := l.repair(t)
	if report.Repaired() != 2 || len(report.Stale) != 0 || left(report) != 3*report.OnTop/2 {
		t.Errorf("got %+v", report)
	}
	if got := topAt(t, below); got.Root != "/pvc-2" || got.Flags != ReadOnly || got.Device == l.dead {
		t.Errorf("below is %+v", got)
	}
	expectContent(t, filepath.Join(below, "file"), "new")
}

func repairMissing(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1/sub", "target")
	whole := l.bind(t, "pvc-1", "whole")
	must(t, "remove", os.RemoveAll(filepath.Join(l.new, "pvc-1/sub")))
	expectStale(t, l.repair(t), target, unix.ENOENT)
	expectContent(t, filepath.Join(whole, "file"), "new")
	if _, err := os.Lstat(filepath.Join(l.new, "pvc-1/sub")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was created: %v", err)
	}
	onlyMountAt(t, target)
}

func repairLink(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1/sub", "target")
	must(t, "remove", os.RemoveAll(filepath.Join(l.new, "pvc-1/sub")))
	must(t, "symlink", os.Symlink("../pvc-2", filepath.Join(l.new, "pvc-1/sub")))
	expectStale(t, l.repair(t), target, unix.ELOOP)
}

func repairDeleted(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1/sub", "target")
	must(t, "remove", os.RemoveAll(filepath.Join(l.old, "pvc-1/sub")))
	must(t, "make another", errors.Join(os.RemoveAll(filepath.Join(l.new, "pvc-1/sub")), os.Mkdir(filepath.Join(l.new, "pvc-1/sub"), 0o755)))
	expectStale(t, l.repair(t), target, unix.ESTALE)
}

// repairRenamed has somebody rename the directory, and another take its path, neither of which the dead file system
// knows of.
func repairRenamed(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	file := l.bind(t, "pvc-2/file", "file")
	must(t, "rename", os.Rename(filepath.Join(l.new, "pvc-1"), filepath.Join(l.new, "renamed")))
	makeDirs(t, l.new, "pvc-1")
	writeFile(t, filepath.Join(l.new, "pvc-1/file"), "of another tenant")
	expectStale(t, l.repair(t), target, unix.ESTALE)
	if got := onlyMountAt(t, target); got.Device != l.dead {
		t.Errorf("got %+v", got)
	}
	expectContent(t, file, "new")
}

func repairWithoutMountPoint(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	must(t, "bind", unix.Mount(makeDirs(t, l.dir, "other")[0], filepath.Join(target, "below"), "", unix.MS_BIND, ""))
	must(t, "remove", os.RemoveAll(filepath.Join(l.new, "pvc-1/below")))
	before := mountCount(t)
	expectStale(t, l.repair(t), target, unix.ENOENT)
	if got := mountCount(t); got != before {
		t.Errorf("%d mounts, %d before", got, before)
	}
	onlyMountAt(t, filepath.Join(target, "below"))
	must(t, "mkdir", os.Mkdir(filepath.Join(l.new, "pvc-1/below"), 0o755))
	expectRepaired(t, l.repair(t), 1)
}

func repairWithoutReplacement(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	report, err := runRepair(t.Context(), new(Repairer), map[*Held]Open{l.held: nil})
	must(t, "Repair", err)
	if len(report.Stale) != 1 || left(report) != 1 || report.Left[l.dead] != 1 || report.Repaired() != 0 {
		t.Errorf("got %+v", report)
	}
	expectRepaired(t, l.repair(t), 1)
	expectContent(t, filepath.Join(target, "file"), "new")
}

func repairTwoDevices(t *testing.T, l *loss) {
	other := newLoss(t, makeDirs(t, l.dir, "another")[0])
	target := l.bind(t, "pvc-1", "target")
	l.bind(t, "pvc-2", "target-2") // as the host has one of each volume that a container has
	other.bind(t, "pvc-2", "target-2")
	below := filepath.Join(target, "below")
	other.stack(t, "pvc-2", below)
	deeper := makeDirs(t, below, "deeper")[0]
	makeDirs(t, other.new, "pvc-2/deeper")
	l.stack(t, "pvc-2", deeper)
	report, err := runRepair(t.Context(), new(Repairer), map[*Held]Open{l.held: l.open, other.held: other.open})
	must(t, "Repair", err)
	if report.Repaired() != 3 || len(report.Stale) != 0 || left(report) != 5*report.OnTop/3 {
		t.Errorf("got %+v", report)
	}
	if of := report.RepairedOf; of[l.dead] != 2 || of[other.dead] != 1 {
		t.Errorf("of them are %v", of)
	}
	for path, device := range map[string]Device{target: l.dead, below: other.dead, deeper: l.dead} {
		if got := topAt(t, path); got.Device == device {
			t.Errorf("%s is still dead: %+v", path, got)
		}
		if path != deeper {
			expectContent(t, filepath.Join(path, "file"), "new")
		}
	}
}

func repairTwice(t *testing.T, l *loss) {
	target := l.bind(t, "pvc-1", "target")
	expectRepaired(t, l.repair(t), 1)
	before := mountsAt(t, target)
	opens := l.opens
	if report := l.repair(t); report.Repaired()+len(report.Stale) != 0 {
		t.Errorf("got %+v", report)
	}
	after := mountsAt(t, target)
	if !slices.Equal(before, after) || l.opens != opens {
		t.Errorf("got  %+v\nwant %+v, opened %d times", after, before, l.opens-opens)
	}
}

func repairNothingElse(t *testing.T, l *loss) {
	l.bind(t, "pvc-1", "target")
	must(t, "bind", unix.Mount(l.new, makeDirs(t, l.dir, "unrelated")[0], "", unix.MS_BIND, ""))
	others := func() map[int]Entry {
		entries, err := List()
		must(t, "list", err)
		found := map[int]Entry{}
		for _, e := range entries {
			if strings.HasPrefix(e.Target, l.dir) && e.Target != l.dir+"/target" {
				found[e.ID] = e
			}
		}
		return found
	}
	before := others()
	l.repair(t)
	if after := others(); !maps.Equal(before, after) {
		t.Errorf("got  %+v\nwant %+v", after, before)
	}
}

func repairOddNames(t *testing.T, l *loss) {
	const name = "a \\040\n,b=ä"
	for _, root := range []string{l.old, l.new} {
		writeFile(t, filepath.Join(makeDirs(t, root, name)[0], "file"), filepath.Base(root))
	}
	target := l.bind(t, name, "c \\134\t"+name)
	expectRepaired(t, l.repair(t), 1)
	expectContent(t, filepath.Join(target, "file"), "new")
}
