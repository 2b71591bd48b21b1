// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// containerGroups are the control groups of a container, one in each hierarchy in which one can be made without more ado: all but cpuset.
type containerGroups []string

// makeContainerGroups makes those of a node, as far as this machine lets it.
func makeContainerGroups(node int) (containerGroups, error) {
	procs, err := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	if err != nil {
		return nil, err
	}
	var groups containerGroups
	for _, file := range append(procs, "/sys/fs/cgroup/cgroup.procs") {
		hierarchy := filepath.Dir(file)
		if _, err := os.Stat(file); err != nil || filepath.Base(hierarchy) == "cpuset" {
			continue
		}
		if info, err := os.Lstat(hierarchy); err != nil || info.Mode()&os.ModeSymlink != 0 { // another name of one
			continue
		}
		group := filepath.Join(hierarchy, fmt.Sprintf("glusterfs-csi-chaos-container-%d-%d", os.Getpid(), node))
		if err := os.Mkdir(group, 0o755); err == nil {
			groups = append(groups, group)
		}
	}
	return groups, nil
}

// command is one that runs in them from its beginning.
func (g containerGroups) command(name string, args ...string) *exec.Cmd {
	if len(g) == 0 {
		return exec.Command(name, args...)
	}
	const enter = `for group in $CONTAINER_GROUPS; do echo $$ > "$group/cgroup.procs" || exit; done; exec "$0" "$@"`
	cmd := exec.Command("sh", append([]string{"-c", enter, name}, args...)...)
	cmd.Env = append(os.Environ(), "CONTAINER_GROUPS="+strings.Join(g, " "))
	return cmd
}

// kill kills all that is in any of them, as a runtime and kubelet do, and returns when nothing is.
func (g containerGroups) kill(ctx context.Context) (killed int, err error) {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	all := map[int]bool{}
	err = testcluster.Poll(ctx, func() error {
		var left []string
		for _, group := range g {
			text, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
			if err != nil {
				return err
			}
			left = append(left, strings.Fields(string(text))...)
		}
		for _, text := range left {
			pid, err := strconv.Atoi(text)
			if err != nil {
				return err
			}
			all[pid] = true
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("processes %v are still in the container", left)
		}
		return nil
	})
	return len(all), err
}

// remove removes them, as soon as nothing is in them.
func (g containerGroups) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	var errs []error
	for _, group := range g {
		errs = append(errs, testcluster.Poll(ctx, func() error {
			if err := unix.Rmdir(group); !errors.Is(err, unix.ENOENT) {
				return err
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}

// containerKilled ends all that is in the mounter's control groups. Its clients are not, so their writers must not notice.
func containerKilled(ctx context.Context, w *world, e *event) error {
	killed, err := w.driver.mounter.groups.kill(ctx)
	if err != nil {
		return err
	}
	<-w.driver.mounter.exited
	e.what = fmt.Sprintf("%d processes, ", killed)
	if err := w.bringBack(ctx, e); err != nil {
		return err
	}
	e.repairs = []time.Duration{now().since(e.mended)}
	return nil
}
