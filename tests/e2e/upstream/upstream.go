// SPDX-License-Identifier: Apache-2.0

// Package upstream runs Kubernetes' own tests of storage on the driver that is installed.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

const (
	// timeout bounds all specs of a run, on a busy machine.
	timeout = "2h"
	// stopTimeout is for ginkgo to clean up after the specs that are under way.
	stopTimeout = time.Minute
)

// groups are the specs that are for a driver like this one, in the words of their names. In each of them some must pass.
var groups = []string{
	"provisioning", "volumes", "subPath", "fsgroupchangepolicy", "multiVolume", "volumeMode", "ephemeral", "read-write-once-pod", "volume-expand",
	"volume-modify", "volume-modify-stress", "volume-stress", "snapshottable", "snapshottable-stress", "disruptive",
}

// focus matches the names of their specs, and says which group that is.
var focus = `External Storage.*\] (` + strings.Join(groups, "|") + `) `

// alone matches what of their names says that a spec wants the cluster for itself: it may stop a kubelet.
const alone = `\[(Serial|Disruptive)\]`

// leftOut is a spec of two programs that the Go module proxy does not have: hello-populator and volume-data-source-validator.
const leftOut = "should provision storage with any volume data source"

// run is one of ginkgo's.
type run struct {
	name        string
	processes   int // how many specs run at a time. They wait more than they work
	focus, skip string
}

// runs are, one after the other, all specs of the groups but the one that is left out, [Slow] ones too.
var runs = []run{
	{name: "together", processes: 4, focus: focus, skip: alone},
	{name: "alone", processes: 1, focus: focus + ".*" + alone, skip: leftOut},
}

// Images are the names of all images that Kubernetes' tests know.
func Images(ctx context.Context) ([]string, error) {
	output, err := exec.CommandContext(ctx, build.Path(build.Suite), "--list-images").Output()
	return strings.Fields(string(output)), err
}

// Run runs the specs of the groups and says how many failed. A group of which none has passed is an error. dir is this package's
// directory, with the file that defines the driver.
func Run(ctx context.Context, c *cluster.Cluster, dir string) (failed int, err error) {
	if err := errors.Join(os.RemoveAll(cache.Path("upstream")), os.MkdirAll(cache.Path("upstream"), 0o755)); err != nil {
		return 0, err
	}
	if _, err := c.Kubectl(ctx, "apply", "-f", filepath.Join(dir, "attributes.yaml")); err != nil {
		return 0, err
	}
	stop, err := c.ServeSSH(keyFile())
	if err != nil {
		return 0, err
	}
	defer func() {
		stop()
		err = errors.Join(err, os.Remove(keyFile()))
	}()
	var ran error
	var reports [][]byte
	for _, r := range runs {
		report, err := r.start(ctx, c, filepath.Join(dir, "driver.yaml"))
		ran = errors.Join(ran, err)
		if report == nil {
			return 0, ran
		}
		reports = append(reports, report)
	}
	s, err := summarize(reports...)
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

// keyFile is by what specs come to the nodes. They would look into the user's ~/.ssh for one.
func keyFile() string { return cache.Path("upstream", "ssh-key") }

// start starts ginkgo, and returns its report when it has ended. There may be one with an error.
func (r run) start(ctx context.Context, c *cluster.Cluster, definition string) (report []byte, err error) {
	directory := cache.Path("upstream", r.name)
	if err := os.Mkdir(directory, 0o755); err != nil {
		return nil, err
	}
	line := []string{
		fmt.Sprintf("--procs=%d", r.processes), "--timeout=" + timeout, "--no-color", "--silence-skips", "--poll-progress-after=5m", "--fail-on-empty",
		"--focus=" + r.focus, "--skip=" + r.skip, "--output-dir=" + directory, "--json-report=report.json", "--junit-report=report.xml",
	}
	line = append(line, build.Path(build.Suite), "--", "--storage.testdriver="+definition, "--kubectl-path="+build.Path("kubectl"), "--provider=local")
	cmd := c.Local(ctx, build.Path(build.Ginkgo), line...)
	cmd.Dir = directory
	cmd.Env = append(cmd.Env, "KUBE_SSH_KEY_PATH="+keyFile(), "KUBE_SSH_USER=root")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // ginkgo ends its processes
	cmd.WaitDelay = stopTimeout
	err = cmd.Run()
	report, readErr := os.ReadFile(filepath.Join(directory, "report.json"))
	return report, errors.Join(err, readErr)
}
