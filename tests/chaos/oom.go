// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// starveTimeout is how long processes may live with no memory to be had. One that serves
// writers needs a page soon.
const starveTimeout = 10 * time.Second

// exhaust lets the kernel kill processes for want of memory, in a memory cgroup of their own
// whose limit is less than what they use. Those that need nothing for a while, and all of
// them where there are no memory cgroups, are killed like that; the event says how many.
func (w *world) exhaust(ctx context.Context, e *event, pids ...int) (err error) {
	w.cgroups++
	group, err := makeCgroup(fmt.Sprintf("glusterfs-csi-chaos-%d-%d", os.Getpid(), w.cgroups))
	if err != nil {
		e.what += fmt.Sprintf("by SIGKILL (no memory cgroup here: %v), ", err)
		return killAll(ctx, pids)
	}
	defer func() { err = errors.Join(err, group.remove(ctx)) }()
	for _, pid := range pids {
		if err := group.add(pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	starving, cancel := context.WithTimeout(ctx, starveTimeout)
	defer cancel()
	lasted := gone(starving, pids...) != nil
	killed, err := group.kills()
	if err != nil {
		return err
	}
	e.what += fmt.Sprintf("%d of %d by the kernel, ", killed, len(pids))
	if !lasted {
		return nil
	}
	return killAll(ctx, pids)
}

func killAll(ctx context.Context, pids []int) error {
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return gone(ctx, pids...)
}

// cgroup is a memory cgroup that has no memory to give.
type cgroup struct {
	dir string
	v2  bool
}

// makeCgroup makes one below that of this process or, as version 2 allows no processes in a
// cgroup that has others below, beside it.
func makeCgroup(name string) (*cgroup, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	g := &cgroup{v2: true}
	path := ""
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) == 3 && fields[1] == "memory":
			path, g.v2 = fields[2], false
		case len(fields) == 3 && fields[1] == "" && g.v2:
			path = filepath.Dir(fields[2])
		}
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		wanted := g.v2 && m.FSType == "cgroup2" || !g.v2 && m.FSType == "cgroup" && strings.Contains(m.VFSOptions, "memory")
		return !wanted, wanted
	})
	if err != nil || len(mounts) == 0 {
		return nil, errors.Join(err, errors.New("none is mounted"))
	}
	g.dir = filepath.Join(mounts[0].Mountpoint, path, name)
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	limit := "memory.limit_in_bytes"
	if g.v2 {
		limit = "memory.max"
	}
	// Set while nothing is charged: version 1 refuses a limit below what is used, and what a
	// process has is not moved with it, so it lives until it wants one page more.
	if err := g.write(limit, strconv.Itoa(os.Getpagesize())); err != nil {
		return nil, errors.Join(err, os.Remove(g.dir))
	}
	return g, nil
}

func (g *cgroup) write(file, text string) error {
	return os.WriteFile(filepath.Join(g.dir, file), []byte(text), 0)
}

func (g *cgroup) add(pid int) error { return g.write("cgroup.procs", strconv.Itoa(pid)) }

// kills is how many processes the kernel has killed for want of memory.
func (g *cgroup) kills() (int, error) {
	file := "memory.oom_control"
	if g.v2 {
		file = "memory.events"
	}
	data, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strconv.Atoi(strings.TrimSpace(count))
		}
	}
	return 0, fmt.Errorf("%s does not count kills", file)
}

// remove removes the cgroup, as soon as nothing is in it any more.
func (g *cgroup) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return testcluster.Poll(ctx, func() error { return os.Remove(g.dir) })
}
