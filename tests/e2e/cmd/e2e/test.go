// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
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
	_ = flags.Parse(args) // exits by itself
	if !*keep {
		defer func() { err = errors.Join(err, down(context.WithoutCancel(ctx))) }()
	}
	c, err := up(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "logs:", cache.Path("log"))
		return err
	}
	if err := story(ctx, *full); err != nil {
		report(context.WithoutCancel(ctx), c)
		return err
	}
	return nil
}

func story(ctx context.Context, full bool) error {
	line := []string{"test", "./story", "-count=1", "-v", "-timeout=" + storyTimeout.String()}
	if full {
		line = append(line, "-args", "-full")
	}
	cmd := exec.CommandContext(ctx, "go", line...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go passes it on
	cmd.WaitDelay = time.Minute
	return play(cmd)
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
