// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// AddSubvolume adds to a volume as many bricks as one of its replica sets has, and returns when they accept
// connections; a connected client learns of them a moment later (see Connected). Directories that exist are made on
// them by lookups, but get files there only after FixLayout. A volume of a single brick or replica set becomes a
// distributed one.
func (c *Cluster) AddSubvolume(volume string) error {
	ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
	defer cancel()
	v, err := c.volume(volume)
	if err != nil {
		return err
	}
	added, err := c.prepareBricks(ctx, volume, v.nextBrick(), v.options.replicas(), v.options)
	if err != nil {
		return err
	}
	if err := c.useNearlyFull(ctx, volume, v.options); err != nil {
		return err
	}
	args := slices.Concat([]string{"volume", "add-brick", volume}, addresses(added), []string{"force"})
	if _, err := c.gluster(ctx, args...); err != nil {
		return err
	}
	c.setBricks(volume, append(slices.Clone(v.bricks), added...))
	if err := c.awaitBricks(ctx, func(b brick) bool { return slices.Contains(added, b) }); err != nil {
		return err
	}
	return syncDisks(added)
}

// useNearlyFull lets a distributed volume use bricks on this machine's own file system however little of that is free:
// GlusterFS puts no new file to where less than a tenth is, nor moves one there (cluster.min-free-disk).
func (c *Cluster) useNearlyFull(ctx context.Context, volume string, o VolumeOptions) error {
	if o.fileSystem() != "" {
		return nil
	}
	_, err := c.gluster(ctx, "volume", "set", volume, "cluster.min-free-disk", "1%")
	return err
}

// FixLayout makes every directory of a volume use all its subvolumes for new files (rebalance fix-layout; no file
// moves). It returns when that is done.
func (c *Cluster) FixLayout(volume string) error {
	ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
	defer cancel()
	if err := c.startOnAll(ctx, "volume", "rebalance", volume, "fix-layout", "start"); err != nil {
		return err
	}
	return c.awaitMigration(ctx, "volume", "rebalance", volume, "status")
}

// StartRemoval makes GlusterFS move everything away from a subvolume (remove-brick start), counted from 0 as its
// bricks are in `gluster volume info`. Clients go on meanwhile, and put new files on the others. FinishRemoval must
// follow.
func (c *Cluster) StartRemoval(volume string, subvolume int) error {
	v, err := c.volume(volume)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
	defer cancel()
	return c.startOnAll(ctx, v.removeBrick(subvolume, "start")...)
}

// startOnAll runs a command that starts work on every server that runs. One that the others have not met again after a cut is left out
// of it without a word, and says "not started" for ever.
func (c *Cluster) startOnAll(ctx context.Context, args ...string) error {
	if err := Poll(ctx, func() error { return c.formed(ctx) }); err != nil {
		return err
	}
	_, err := c.gluster(ctx, args...)
	return err
}

// FinishRemoval waits until everything has moved (remove-brick status), takes the subvolume out of the volume
// (commit) and deletes its bricks. About 10 small files move in a second.
//
// With GlusterFS's default of cluster.lookup-optimize (on), 10.3 then answers ENOENT, on every client, for some files
// that are there: they lie on another subvolume than their name says, and a lookup asks no other. Listing their
// directory shows them. With "off", set before, every name is found.
func (c *Cluster) FinishRemoval(volume string, subvolume int) error {
	v, err := c.volume(volume)
	if err != nil {
		return err
	}
	removed := v.subvolume(subvolume)
	if err := c.finishMigration(v, subvolume); err != nil {
		return err
	}
	if _, err := c.Gluster(v.removeBrick(subvolume, "commit")...); err != nil {
		return err
	}
	isRemoved := func(b brick) bool { return slices.Contains(removed, b) }
	c.setBricks(volume, slices.DeleteFunc(slices.Clone(v.bricks), isRemoved))
	for _, b := range removed {
		err = errors.Join(err, b.remove())
	}
	return err
}

// finishMigration waits until everything has moved. On a busy machine GlusterFS 10.3 has left a server "in progress" for
// good once, after it had moved all; then it is stopped and started again, as an operator would do it.
func (c *Cluster) finishMigration(v volume, subvolume int) error {
	const attempts = 3
	var err error
	for attempt := range attempts {
		ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
		if attempt > 0 {
			_, err = c.gluster(ctx, v.removeBrick(subvolume, "stop")...)
			if err == nil {
				_, err = c.gluster(ctx, v.removeBrick(subvolume, "start")...)
			}
		}
		if err == nil {
			err = c.awaitMigration(ctx, v.removeBrick(subvolume, "status")...)
		}
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return err
}

// awaitMigration asks for the status of a rebalance until no server has anything left to do.
func (c *Cluster) awaitMigration(ctx context.Context, status ...string) error {
	var failed error
	err := Poll(ctx, func() error {
		said, err := c.gluster(ctx, status...)
		switch {
		case err != nil:
			return err
		case strings.Contains(said, "failed"), strings.Contains(said, "stopped"):
			failed = fmt.Errorf("gluster %s: %s", strings.Join(status, " "), said)
			return nil
		case strings.Contains(said, "in progress"), strings.Contains(said, "not started"),
			!strings.Contains(said, "completed"):
			return fmt.Errorf("not done: %s", said)
		}
		return nil
	})
	return errors.Join(failed, err)
}

// subvolume are the bricks of replica set i.
func (v volume) subvolume(i int) []brick {
	replicas := v.options.replicas()
	return v.bricks[i*replicas : (i+1)*replicas]
}

// removeBrick are the words of a remove-brick command for subvolume i.
func (v volume) removeBrick(i int, action string) []string {
	return slices.Concat([]string{"volume", "remove-brick", v.name}, addresses(v.subvolume(i)), []string{action})
}

// nextBrick is the number that GlusterFS, too, gives to the next brick: one more than the highest there is.
func (v volume) nextBrick() int {
	next := 0
	for _, b := range v.bricks {
		next = max(next, b.number+1)
	}
	return next
}

// prepareBricks makes the directories for bricks of a volume from number first on. They go to the peers in turn.
func (c *Cluster) prepareBricks(ctx context.Context, volume string, first, count int, o VolumeOptions) ([]brick, error) {
	var bricks []brick
	for i := first; i < first+count; i++ {
		s := c.peers[i%len(c.peers)]
		b := brick{server: s, number: i, path: filepath.Join(s.dir, "bricks", fmt.Sprintf("%s-%d", volume, i), "brick")}
		var err error
		if b.disk, err = b.prepare(ctx, o); err != nil {
			return nil, fmt.Errorf("brick %d of %s: %w", i, volume, err)
		}
		bricks = append(bricks, b)
	}
	return bricks, nil
}

// remove deletes the brick's data and its own file system, if it has one. The brick serves nothing any more.
func (b brick) remove() error {
	above := filepath.Dir(b.path)
	if b.disk == nil {
		return os.RemoveAll(above)
	}
	ctx, cancel := context.WithTimeout(context.Background(), faultTimeout)
	defer cancel()
	b.server.removeDisk(b.disk)
	err := inNamespacesOf(b.server.pid, func() error { return unix.Unmount(above, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) })
	return errors.Join(err, b.disk.remove(ctx), os.Remove(above))
}

// addresses are the bricks as the gluster command names them.
func addresses(bricks []brick) []string {
	var found []string
	for _, b := range bricks {
		found = append(found, b.server.address+":"+b.path)
	}
	return found
}
