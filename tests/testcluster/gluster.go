// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// glusterTimeout bounds a gluster command with its repetitions. One that has to reach a stopped server waits for it.
	glusterTimeout = 60 * time.Second
	// settleTimeout bounds the repetitions of a command that is refused only because the servers are still settling.
	settleTimeout = 20 * time.Second
)

// settling are what glusterd 10.3 answers for a moment after a probe, a start or another command.
var settling = []string{
	"Another transaction is in progress",
	"Locking failed",
	"is not in 'Peer in Cluster' state",
	"not in cluster",
	"not connected",
	"Connection failed. Please check if gluster daemon is operational",
	// Each server tries whether a new brick's directory takes xattrs, and here they share one file system: another was faster.
	"Removing test extended attribute failed",
}

// Gluster runs the gluster command, e.g. "volume", "info", on a server that is running, answers its questions with yes, and
// returns its standard output. The error carries what it printed.
//
// It runs in the server's own mount namespace, with which "volume heal NAME info" works on loopback. "volume quota NAME list"
// does not: glusterd mounts the volume from localhost, where nobody listens.
func (c *Cluster) Gluster(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
	defer cancel()
	return c.gluster(ctx, args...)
}

func (c *Cluster) gluster(ctx context.Context, args ...string) (string, error) {
	began := time.Now()
	var output string
	var final error
	err := Poll(ctx, func() error {
		var err error
		output, err = c.glusterOnce(ctx, args)
		if err != nil && (time.Since(began) > settleTimeout || !isSettling(err)) {
			final, err = err, nil
		}
		return err
	})
	return output, errors.Join(final, err)
}

func isSettling(err error) bool {
	return slices.ContainsFunc(settling, func(text string) bool { return strings.Contains(err.Error(), text) })
}

func (c *Cluster) glusterOnce(ctx context.Context, args []string) (string, error) {
	i := slices.IndexFunc(c.servers, func(s *server) bool { return s.alive.Load() })
	if i < 0 {
		return "", fmt.Errorf("gluster %s: no server is running", strings.Join(args, " "))
	}
	output, err := c.servers[i].gluster(ctx, args...)
	if err != nil && strings.Contains(err.Error(), inTheLog) {
		err = fmt.Errorf("%w\n%s", err, c.logged())
	}
	return output, err
}

// inTheLog is what glusterd answers where it does not say why.
const inTheLog = "check log file for details"

// logged is what the servers' glusterds, and what they have run, have logged as errors.
func (c *Cluster) logged() string {
	var all []string
	for _, s := range c.servers {
		logs, err := filepath.Glob(filepath.Join(s.dir, "log/*.log"))
		if err != nil {
			return err.Error()
		}
		for _, log := range logs {
			if lines := errorLines(log); lines != "" {
				all = append(all, log+":\n"+lines)
			}
		}
	}
	return strings.Join(all, "\n")
}

// gluster runs the gluster command on this server, once.
func (s *server) gluster(ctx context.Context, args ...string) (string, error) {
	path, err := program("gluster")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"--mode=script", "--glusterd-sock=" + s.socket()}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = time.Second // for helpers of a killed command that hold its output open
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := inNamespacesOf(s.pid, cmd.Start); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		// Some failures are explained on standard output.
		said := strings.TrimSpace(stderr.String() + stdout.String())
		return stdout.String(), fmt.Errorf("gluster %s: %w: %s", strings.Join(args, " "), errors.Join(ctx.Err(), err), said)
	}
	return stdout.String(), nil
}

// awaitBricks waits until all bricks that match accept connections, those of stopped volumes excepted.
func (c *Cluster) awaitBricks(ctx context.Context, match func(brick) bool) error {
	stopped, err := c.stoppedVolumes(ctx)
	if err != nil {
		return err
	}
	return Poll(ctx, func() error {
		running, err := glusterBelow(c.dir)
		if err != nil {
			return err
		}
		for _, volume := range c.Volumes() {
			for _, b := range c.bricks(volume) {
				if slices.Contains(stopped, volume) || !match(b) {
					continue
				}
				if err := b.accepts(running); err != nil {
					return fmt.Errorf("brick %d of %s: %w: %s", b.number, volume, err, b.errorLines())
				}
			}
		}
		return nil
	})
}

func (c *Cluster) stoppedVolumes(ctx context.Context) ([]string, error) {
	var stopped []string
	for _, volume := range c.Volumes() {
		info, err := c.gluster(ctx, "volume", "info", volume)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(info, "\nStatus: Started\n") {
			stopped = append(stopped, volume)
		}
	}
	return stopped, nil
}

func (b brick) accepts(running []process) error {
	i := slices.IndexFunc(running, func(p process) bool { return p.brick() == b.path })
	if i < 0 {
		return errors.New("no process")
	}
	return dial("tcp4", net.JoinHostPort(b.server.address, running[i].valueOf("--brick-port")))
}

// errorLines are from the brick's own log, whose name is its path with dashes.
func (b brick) errorLines() string {
	name := strings.ReplaceAll(strings.TrimPrefix(b.path, "/"), "/", "-") + ".log"
	return errorLines(filepath.Join(b.server.dir, "log", "bricks", name))
}

// brick is the path of the brick that the process serves, or "".
func (p process) brick() string { return p.valueOf("--brick-name") }

// valueOf is the argument that follows option on the command line.
func (p process) valueOf(option string) string {
	if i := slices.Index(p.args, option); i >= 0 && i+1 < len(p.args) {
		return p.args[i+1]
	}
	return ""
}
