// SPDX-License-Identifier: Apache-2.0

// Package upstream runs Kubernetes' own tests of storage on the driver that is installed.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

const (
	// timeout bounds all specs, on a busy machine.
	timeout = "2h"
	// stopTimeout is for ginkgo to clean up after the specs that are under way.
	stopTimeout = time.Minute
	// processes is how many specs run at a time. They wait more than they work.
	processes = "4"
)

// groups are the specs that are for a driver like this one, in the words of their names. In each of them some must pass.
var groups = []string{
	"provisioning", "volumes", "subPath", "fsgroupchangepolicy", "multiVolume", "volumeMode", "ephemeral", "read-write-once-pod", "volume-expand",
	"volume-stress", "snapshottable", "snapshottable-stress",
}

// focus matches the names of their specs, and says which group that is.
var focus = `External Storage.*\] (` + strings.Join(groups, "|") + `) `

// leftOut are the kinds of specs that do not run, as they want the cluster for themselves. There are no others: what is tagged [Slow]
// runs, since that is all of multiVolume.
var leftOut = []string{"[Serial]", "[Disruptive]"}

// Images are the names of all images that Kubernetes' tests know.
func Images(ctx context.Context) ([]string, error) {
	output, err := exec.CommandContext(ctx, build.Path(build.Suite), "--list-images").Output()
	return strings.Fields(string(output)), err
}

// Run runs the specs of the groups and says how many failed. A group of which none has passed is an error. definition is the path of the file that defines the driver.
func Run(ctx context.Context, c *cluster.Cluster, definition string) (failed int, err error) {
	report := cache.Path("upstream", "report.json")
	if err := errors.Join(os.RemoveAll(cache.Path("upstream")), os.MkdirAll(cache.Path("upstream"), 0o755)); err != nil {
		return 0, err
	}
	line := []string{
		"--procs=" + processes, "--timeout=" + timeout, "--no-color", "--silence-skips", "--poll-progress-after=5m", "--fail-on-empty",
		"--focus=" + focus, "--output-dir=" + cache.Path("upstream"), "--json-report=report.json", "--junit-report=report.xml",
	}
	for _, kind := range leftOut {
		line = append(line, "--skip="+strings.NewReplacer("[", `\[`, "]", `\]`).Replace(kind))
	}
	line = append(line, build.Path(build.Suite), "--", "--storage.testdriver="+definition, "--kubectl-path="+build.Path("kubectl"), "--provider=local")
	cmd := c.Local(ctx, build.Path(build.Ginkgo), line...)
	cmd.Dir = cache.Path("upstream")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // ginkgo ends its processes
	cmd.WaitDelay = stopTimeout
	ran := cmd.Run()
	text, err := os.ReadFile(report)
	if err != nil {
		return 0, errors.Join(ran, err)
	}
	s, err := summarize(text)
	if err != nil {
		return 0, errors.Join(ran, err)
	}
	s.print(os.Stdout)
	if s.failed == 0 && ran != nil {
		return 0, ran // not for a spec's sake
	}
	if idle := s.idle(); len(idle) > 0 {
		return s.failed, fmt.Errorf("no spec has passed of %s", strings.Join(idle, ", "))
	}
	return s.failed, nil
}
