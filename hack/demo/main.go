// SPDX-License-Identifier: Apache-2.0

// Command demo plays the operator's story on a real GlusterFS volume gv0 of two servers, by
// the CSI calls that Kubernetes makes. It prints what it does, and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// limit is far above the minute that the story takes.
const limit = 5 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, limit)
	start := time.Now()
	err := play(ctx)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	fmt.Printf("\nThe whole story took %s. Nothing is left: no process, no mount, no file.\n", time.Since(start).Round(100*time.Millisecond))
}

func play(ctx context.Context) (err error) {
	before := testcluster.Snapshot()
	say("Two servers, one replicated Gluster volume gv0, as the operator made it by hand")
	cluster, err := testcluster.Start(ctx, testcluster.Options{})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, cluster.Close())
		if leaks := before.Leaks(); len(leaks) > 0 {
			err = errors.Join(err, fmt.Errorf("left behind: %q", leaks))
		}
	}()
	info, err := cluster.Gluster("volume", "info", "gv0")
	if err != nil {
		return err
	}
	show(lines(info, "Volume Name", "Type", "Status", "Number of Bricks", "Brick1", "Brick2"))

	d, err := startDriver(ctx, cluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	say("The driver, and its one list of servers in place of every Endpoints object")
	show(cluster.ClustersYAML())
	return d.story(ctx, cluster)
}

// story is the operator's day with the driver.
func (d player) story(ctx context.Context, cluster *testcluster.Cluster) error {
	volume, err := d.create(ctx)
	if err != nil {
		return err
	}
	one, two := filepath.Join(d.Dir, "pod-a"), filepath.Join(d.Dir, "pod-b")
	for _, target := range []string{one, two} {
		if err := d.publish(ctx, volume, target, false); err != nil {
			return err
		}
	}
	if err := d.shareFile(ctx, one, two); err != nil {
		return err
	}
	if err := d.loseBrick(ctx, cluster, one, two); err != nil {
		return err
	}
	if err := d.readOnly(ctx, volume); err != nil {
		return err
	}
	for _, target := range []string{one, two} {
		if err := d.unpublish(ctx, volume, target); err != nil {
			return err
		}
	}
	return d.trash(ctx, volume, one)
}

func (d player) create(ctx context.Context) (*csi.Volume, error) {
	say("A claim of 1Gi by a StorageClass with uid 1001, gid 0: a directory of its own")
	start := time.Now()
	volume, err := d.Create(ctx, "pvc-gluster-claim", func(r *csi.CreateVolumeRequest) { r.Parameters["gid"] = "0" })
	if err != nil {
		return nil, err
	}
	show(fmt.Sprintf("volume %s, directory %s, made in %s", volume.GetVolumeId(), volume.GetVolumeContext()["path"], took(start)))
	return volume, nil
}

func (d player) shareFile(ctx context.Context, one, two string) error {
	say("A container's user (uid 1001, gid 0, no capabilities) writes in pod A and reads in pod B")
	if err := d.as1001(ctx, one, "touch", "test"); err != nil {
		return err
	}
	if err := d.write(ctx, one, "hello", "written by uid 1001\n"); err != nil {
		return err
	}
	return errors.Join(d.as1001(ctx, two, "ls", "-ln"), d.as1001(ctx, two, "cat", "hello"), d.as1001(ctx, two, "df", "-h", "."))
}

func (d player) loseBrick(ctx context.Context, cluster *testcluster.Cluster, one, two string) error {
	say("One brick is killed: writing goes on")
	if err := cluster.KillBrick("gv0", 0); err != nil {
		return err
	}
	start := time.Now()
	if err := d.write(ctx, one, "after", "written with one brick of two\n"); err != nil {
		return err
	}
	show("took " + took(start))
	if err := d.as1001(ctx, two, "cat", "after"); err != nil {
		return err
	}
	return d.findBrick(ctx, cluster)
}

// findBrick brings the brick back, and waits until the two have the same: before, a client that is connected to both may
// see what was deleted meanwhile.
func (d player) findBrick(ctx context.Context, cluster *testcluster.Cluster) error {
	start := time.Now()
	if err := cluster.StartBrick("gv0", 0); err != nil {
		return err
	}
	mountpoint, err := d.ClientMount("gv0")
	if err == nil {
		err = testcluster.Poll(ctx, func() error { return testcluster.Connected(mountpoint, "gv0", 0) })
	}
	if err == nil {
		err = cluster.AwaitHeal(ctx, "gv0")
	}
	if err == nil {
		show("the brick is back, and has all that it missed, after " + took(start))
	}
	return err
}

func (d player) readOnly(ctx context.Context, volume *csi.Volume) error {
	say("A read-only publish refuses to be written to")
	target := filepath.Join(d.Dir, "pod-c")
	if err := d.publish(ctx, volume, target, true); err != nil {
		return err
	}
	if err := d.as1001(ctx, target, "touch", "test"); err == nil {
		return errors.New("the write succeeded")
	}
	return d.unpublish(ctx, volume, target)
}

func (d player) trash(ctx context.Context, volume *csi.Volume, target string) error {
	say("The claim is deleted: its data waits in the trash")
	if err := d.delete(ctx, volume); err != nil {
		return err
	}
	if err := d.admin(ctx, "volume", "list"); err != nil {
		return err
	}
	entry, err := d.trashEntry(ctx, volume)
	if err != nil {
		return err
	}
	say("That was a mistake: it is restored, all of it")
	if err := d.admin(ctx, "trash", "restore", entry); err != nil {
		return err
	}
	if err := d.publish(ctx, volume, target, false); err != nil {
		return err
	}
	if err := d.as1001(ctx, target, "cat", "hello", "after"); err != nil {
		return err
	}
	if err := d.unpublish(ctx, volume, target); err != nil {
		return err
	}
	say("Deleted again, and purged")
	if err := d.delete(ctx, volume); err != nil {
		return err
	}
	if entry, err = d.trashEntry(ctx, volume); err != nil {
		return err
	}
	return d.admin(ctx, "trash", "purge", entry)
}
