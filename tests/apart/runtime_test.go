// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package apart

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// variable makes the test binary the first process of a container.
const variable = "APART_CONTAINER"

// spec is what a runtime is told of a container.
type spec struct {
	Root   string   // its image
	NoSys  bool     // the hierarchies of control groups are not to be seen in it
	Shared []string // directories that it has at the same paths, with propagation in both directions
	Groups []string // directories of its control groups
	Args   []string
}

// controlGroups are the hierarchies of this machine, in each of which a container has a group.
func controlGroups(t *testing.T) []string {
	t.Helper()
	procs, err := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	if _, v2 := os.Stat("/sys/fs/cgroup/cgroup.procs"); v2 == nil {
		return []string{"/sys/fs/cgroup"}
	}
	if err != nil || len(procs) == 0 {
		t.Fatalf("no control groups: %v", err)
	}
	var all []string
	for _, file := range procs {
		if dir := filepath.Dir(file); isReal(dir) {
			all = append(all, dir)
		}
	}
	return all
}

// isReal says that a name is not a link, as cpu is one to cpu,cpuacct on many machines.
func isReal(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink == 0
}

// pods is kubelet's control groups of all pods, in each hierarchy, below one of the test's own.
type pods struct {
	hierarchies []string
	noSys       bool // of the next container
}

// testGroup is this process's: the tests may run in several working trees at the same time.
var testGroup = fmt.Sprintf("glusterfs-csi-apart-test-%d", os.Getpid())

func newPods(t *testing.T) *pods {
	t.Helper()
	p := &pods{hierarchies: controlGroups(t)}
	for _, h := range p.hierarchies {
		makeGroup(t, filepath.Join(h, testGroup, "kubepods"), h)
	}
	t.Cleanup(func() {
		for _, h := range p.hierarchies {
			testcluster.Eventually(t, patience, func() error { return removeGroups(filepath.Join(h, testGroup)) })
		}
	})
	return p
}

// memory is the hierarchy in which memory is counted, and whether that is version 2.
func (p *pods) memory(t *testing.T) (dir string, v2 bool) {
	t.Helper()
	for _, h := range p.hierarchies {
		for file, v2 := range map[string]bool{"memory.limit_in_bytes": false, "memory.max": true} {
			if _, err := os.Stat(filepath.Join(h, testGroup, file)); err == nil {
				return h, v2
			}
		}
	}
	t.Fatalf("in none of %v memory is counted", p.hierarchies)
	return "", false
}

// makeGroup makes a control group and those above it, as runc does: those of cpuset need the values of the one above.
func makeGroup(t *testing.T, dir, hierarchy string) {
	t.Helper()
	if dir == hierarchy {
		return
	}
	makeGroup(t, filepath.Dir(dir), hierarchy)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		if value, err := os.ReadFile(filepath.Join(filepath.Dir(dir), name)); err == nil && filepath.Base(hierarchy) == "cpuset" {
			if err := os.WriteFile(filepath.Join(dir, name), value, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// removeGroups removes a control group and those below it, which must be empty.
func removeGroups(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeGroups(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(err, unix.Rmdir(dir))
}

// container is one that runs.
type container struct {
	t       *testing.T
	image   image
	groups  []string
	process *exec.Cmd
	log     string
	ended   chan struct{}
}

// start runs a container with these arguments of the driver.
func (p *pods) start(t *testing.T, name string, i image, shared []string, args ...string) *container {
	t.Helper()
	c := &container{t: t, image: i, log: filepath.Join(t.TempDir(), name+".log"), ended: make(chan struct{})}
	for _, h := range p.hierarchies {
		group := filepath.Join(h, testGroup, "kubepods", "pod-"+name, "container")
		makeGroup(t, group, h)
		c.groups = append(c.groups, group)
	}
	text, err := json.Marshal(spec{Root: string(i), NoSys: p.noSys, Shared: shared, Groups: c.groups, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(c.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c.process = exec.Command("/proc/self/exe")
	c.process.Env = append(os.Environ(), variable+"="+string(text), "PATH=/usr/sbin:/usr/bin")
	c.process.Stdout, c.process.Stderr = log, log
	c.process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Setsid: true} // Unshareflags would make all mounts private
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = c.process.Wait() // its state says how it ended
		close(c.ended)
	}()
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			text, _ := os.ReadFile(c.log)
			t.Logf("the log of %s:\n%s", name, text)
		}
	})
	return c
}

// kill ends all that is in the container's control groups, whichever of them a runtime goes by, and returns when they are empty.
func (c *container) kill() {
	c.t.Helper()
	testcluster.Eventually(c.t, patience, func() error {
		var left []string
		for _, group := range c.groups {
			text, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			left = append(left, strings.Fields(string(text))...)
		}
		for _, text := range left {
			if pid, err := strconv.Atoi(text); err == nil {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("processes %v are still in the container", slices.Compact(slices.Sorted(slices.Values(left))))
		}
		return nil
	})
	<-c.ended
}

// stop ends it as kubelet does that has the time.
func (c *container) stop() {
	c.t.Helper()
	if err := c.process.Process.Signal(unix.SIGTERM); err != nil {
		c.t.Error(err)
	}
	if err := testcluster.Within(patience, func() error { <-c.ended; return nil }); err != nil {
		c.t.Errorf("the container has not ended: %v", err)
	}
	c.kill()
}

// runContainer is the first process of a container. It does not return.
func runContainer(text string) {
	var s spec
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		err = s.run()
	}
	fmt.Fprintln(os.Stderr, "container:", err)
	os.Exit(1)
}

func (s spec) run() error {
	for _, group := range s.Groups {
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	var trees []int
	for _, dir := range s.Shared {
		fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err != nil {
			return fmt.Errorf("open_tree %s: %w", dir, err)
		}
		trees = append(trees, fd)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount(s.Root, s.Root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind the image: %w", err)
	}
	of := []string{"proc", "dev"}
	if !s.NoSys {
		of = append(of, "sys")
	}
	for _, name := range of {
		if err := unix.Mount("/"+name, filepath.Join(s.Root, name), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind /%s: %w", name, err)
		}
	}
	if err := unix.Mount("tmpfs", filepath.Join(s.Root, "tmp"), "tmpfs", unix.MS_NOSUID, "size=16m"); err != nil { // the pod's emptyDir
		return err
	}
	for i, dir := range s.Shared {
		if err := os.MkdirAll(filepath.Join(s.Root, dir), 0o755); err != nil { // it may be below that
			return err
		}
		if err := unix.MoveMount(trees[i], "", unix.AT_FDCWD, filepath.Join(s.Root, dir), unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	if err := unix.Mount("", s.Root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return err
	}
	if err := os.Chdir(s.Root); err != nil {
		return err
	}
	if err := errors.Join(unix.PivotRoot(".", "."), unix.Unmount(".", unix.MNT_DETACH), os.Chdir("/")); err != nil {
		return err
	}
	return unix.Exec("/usr/bin/glusterfs-csi", append([]string{"glusterfs-csi"}, s.Args...), os.Environ())
}
