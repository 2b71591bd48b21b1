// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
)

// atOnce is how many calls are under way at the same time where it is more than one.
const atOnce = 16

const (
	fairLeast = "the least that any provisioner must do, by three system calls on a mount that is there already; it remembers nothing, so a second call with the same name cannot tell whose directory it finds, and nothing of it is forced to disk"
	fairMount = "what csi-driver-nfs and csi-driver-smb do in each CreateVolume, with GlusterFS's own `mount -t glusterfs` on the same volume and all its servers named"
)

// create measures CreateVolume through gRPC, alone and 16 at once.
func create(ctx context.Context, b *bench) (report.Result, error) {
	if _, err := b.driver.Create(ctx, "create-warm"); err != nil {
		return report.Result{}, err
	}
	least := func(_ context.Context, name string) error { return b.least(name) }
	driven := func(ctx context.Context, name string) error {
		_, err := b.driver.Create(ctx, name)
		return err
	}
	var result report.Result
	for _, c := range []struct {
		what  string
		width int
		calls int
	}{{"one at a time", 1, b.sizes.calls}, {fmt.Sprintf("%d at once, time for each", atOnce), atOnce, b.sizes.slowCalls}} {
		slow := b.sizes.slowCalls
		if c.width > 1 {
			slow = 1
		}
		all, err := interleave(ctx, b.sizes.rounds,
			contender{"CreateVolume", chart.Seconds, c.calls, parallel(c.width, "pvc", driven)},
			contender{"mkdir + chown + chmod", chart.Seconds, c.calls, parallel(c.width, "least", least)},
			contender{"mount, mkdir, umount", chart.Seconds, slow, parallel(c.width, "mounted", b.mountAndMake)},
		)
		if err != nil {
			return result, err
		}
		result.Figures = append(result.Figures,
			all[0].by(all[1], c.what, b.aim(report.Aim{AtMost: 4}, report.Aim{AtMost: 2.5}), fairLeast),
			all[0].under(all[2], c.what, b.aim(report.Aim{AtLeast: 20}, report.Aim{AtLeast: 8}), fairMount))
	}
	return result, nil
}

// parallel is the sample of so many at once: the time for each.
func parallel(width int, prefix string, action func(ctx context.Context, name string) error) func(context.Context, int) (float64, error) {
	return func(ctx context.Context, n int) (float64, error) {
		began := time.Now()
		var group errgroup.Group
		for i := range width {
			group.Go(func() error { return action(ctx, fmt.Sprintf("%s-%d-%d-%d", prefix, width, n, i)) })
		}
		err := group.Wait()
		return time.Since(began).Seconds() / float64(width), err
	}
}

// least makes a directory for uid 1001 and does nothing else.
func (b *bench) least(name string) error {
	path := filepath.Join(b.raw.Path, name)
	err := os.Mkdir(path, 0o700)
	if err == nil {
		err = os.Chown(path, 1001, 0)
	}
	if err == nil {
		err = os.Chmod(path, os.ModeSetgid|0o770)
	}
	return err
}

// mountAndMake makes a directory as drivers do that hold no mount.
func (b *bench) mountAndMake(ctx context.Context, name string) error {
	target := b.path("mount-" + name)
	if err := os.Mkdir(target, 0o700); err != nil {
		return err
	}
	if err := b.mount(ctx, "/"+gv0, target); err != nil {
		return err
	}
	path := filepath.Join(target, name)
	err := os.Mkdir(path, 0o700)
	if err == nil {
		err = os.Chmod(path, 0o777)
	}
	return errors.Join(err, run(exec.CommandContext(ctx, "umount", target)), os.Remove(target))
}

// mount runs GlusterFS's own mount helper, as the in-tree plugin did.
func (b *bench) mount(ctx context.Context, remote, target string) error {
	servers := b.cluster.Servers()
	options := "log-level=ERROR,log-file=" + b.path("mount.log") + ",backup-volfile-servers=" + servers[1]
	return run(exec.CommandContext(ctx, "mount", "-t", "glusterfs", "-o", options, servers[0]+":"+remote, target))
}
