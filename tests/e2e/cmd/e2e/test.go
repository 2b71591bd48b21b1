// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/image"
)

const (
	// storyTimeout bounds the story with its long parts, on a busy machine.
	storyTimeout = 90 * time.Minute
	// reportTimeout bounds what is asked of a cluster on which the story failed.
	reportTimeout = time.Minute
)

// test plays the story on a cluster, which it ends afterwards, whatever happened.
func test(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("test", flag.ExitOnError)
	keep := flags.Bool("keep", false, "leave the cluster up")
	full := flags.Bool("full", false, "with the story's long parts")
	from := flags.String("from", "", "an earlier version of this repository, with its image: play the update from it, and nothing else")
	_ = flags.Parse(args) // exits by itself
	if !*keep {
		defer func() { err = errors.Join(err, down(context.WithoutCancel(ctx))) }()
	}
	var more []string
	if *from != "" {
		more = append(more, image.Driver(*from))
	}
	c, err := up(ctx, more...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "logs:", cache.Path("log"))
		return err
	}
	if err := story(ctx, *full, *from); err != nil {
		report(context.WithoutCancel(ctx), c)
		return errors.Join(err, summarize(context.WithoutCancel(ctx)))
	}
	return nil
}

func story(ctx context.Context, full bool, from string) error {
	args := []string{"--format=standard-verbose", "--hide-summary=all", "--jsonfile=" + events(), "--", "./story", "-count=1", "-timeout=" + storyTimeout.String()}
	switch {
	case from != "":
		dir, err := filepath.Abs(from)
		if err != nil {
			return err
		}
		args = append(args, "-args", "-from="+dir)
	case full:
		args = append(args, "-args", "-full")
	}
	if err := os.Remove(events()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	cmd := gotestsum(ctx, args...)
	// They have a group of their own, so that an interrupt reaches all: go, gotestsum, go again and the test. They would not pass it on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	return play(cmd)
}

// summarize prints once more what failed in the story and what it said, after the cluster's state: the end of a long output is what
// is seen of it.
func summarize(ctx context.Context) error {
	return play(gotestsum(ctx, "--format=none", "--raw-command", "--", "cat", events()))
}

// events is the file with all that the story's tests have said, for gotestsum.
func events() string { return cache.Path("log", "story.json") }

func gotestsum(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool", "-modfile=" + repository + "/hack/tools/go.mod", "gotestsum"}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// report prints what the cluster's state says about a failure.
func report(ctx context.Context, c *cluster.Cluster) {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	for _, line := range []string{
		"get nodes,pods,pvc,pv -A -o wide",
		"get events -A --sort-by=.metadata.creationTimestamp",
		"logs -n glusterfs-csi -l app.kubernetes.io/name=glusterfs-csi --all-containers --prefix --tail=40",
	} {
		const enough = 60
		output, err := c.Kubectl(ctx, strings.Fields(line)...)
		lines := strings.Split(strings.TrimSpace(output), "\n")
		fmt.Fprintf(os.Stderr, "--- kubectl %s\n%s\n", line, strings.Join(lines[max(0, len(lines)-enough):], "\n"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	c.Logs(os.Stderr)
	fmt.Fprintln(os.Stderr, "--- all logs:", cache.Path("log"))
}
