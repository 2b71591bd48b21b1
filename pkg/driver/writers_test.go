// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Each of the writers may have a MiB under way on each brick when the end comes; see docs/capacity.md for what it was.
func TestEightWritersOnTwoNodesEndAtTheCapacity(t *testing.T) {
	for layout, options := range map[string]testcluster.VolumeOptions{"replica 2": {}, "2×2": {Subvolumes: 2}} {
		t.Run(layout, func(t *testing.T) {
			_, _, r := onLimitedVolume(t, options)
			const size, writers, bricks = 20 * mib, 8, 2
			v := r.createSized(size)
			// A client of its own for each, as on two nodes.
			targets := []string{r.publish(v, "one"), r.publish(v, "two", as(manyWriters, "attribute-timeout=0.5"))}
			showsSize(t, targets[0], size)
			var written atomic.Int64
			var all sync.WaitGroup
			errs := make([]error, writers)
			for i := range writers {
				path := filepath.Join(targets[i%len(targets)], fmt.Sprint(i))
				all.Go(func() { errs[i] = writeToTheEnd(path, size, &written) })
			}
			all.Wait()
			if err := errors.Join(errs...); err != nil {
				t.Error(err)
			}
			total := written.Load()
			t.Logf("%.1f MiB went into %d", float64(total)/mib, size/mib)
			if most := int64(size + writers*bricks*mib); total < size/2 || total > most {
				t.Errorf("%d bytes went into %d", total, size)
			}
			r.unpublish(v, targets...)
		})
	}
}

// writeToTheEnd writes MiB after MiB, each to disk, until there is no more room.
func writeToTheEnd(path string, most int64, written *atomic.Int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if errors.Is(err, unix.EDQUOT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, mib)
	for total := int64(0); total <= most; {
		n, err := f.Write(block)
		if err == nil {
			err = f.Sync()
		}
		if errors.Is(err, unix.EDQUOT) {
			return nil
		}
		if err != nil {
			return err
		}
		total += int64(n)
		written.Add(int64(n))
	}
	return fmt.Errorf("%s: nothing held it", path)
}

func TestABrickThatIsDownWhenALimitIsSetOrRaisedGetsIt(t *testing.T) {
	c, name, r := onLimitedVolume(t, testcluster.VolumeOptions{})
	raised := r.createSized(16 * mib)
	if err := c.KillBrick(name, 1); err != nil {
		t.Fatal(err)
	}
	set := r.createSized(16 * mib)
	_, err := r.expand(raised.GetVolumeId(), 24*mib, 0)
	code(t, err, codes.OK)
	if err := c.StartBrick(name, 1); err != nil {
		t.Fatal(err)
	}
	for path, size := range map[string]int64{nameOf(set): 16 * mib, nameOf(raised): 24 * mib} {
		testcluster.Eventually(t, patience, func() error {
			err := storedLimit(filepath.Join(c.BrickPath(name, 1), path), size)
			if err != nil { // GlusterFS looks by itself every ten minutes
				_, healErr := c.Gluster("volume", "heal", name)
				err = errors.Join(err, healErr)
			}
			return err
		})
	}
	// That brick alone holds to it.
	if err := c.KillBrick(name, 0); err != nil {
		t.Fatal(err)
	}
	target := r.target("pod")
	testcluster.Eventually(t, patience, func() error { return r.tryPublish(raised, target) }) // when the client has found that brick again
	showsSize(t, target, 24*mib)
	if written := fillUp(t, filepath.Join(target, "file"), 64*mib); written > 26*mib {
		t.Errorf("%d bytes went into a volume of %d", written, 24*mib)
	}
	r.unpublish(raised, target)
	if err := c.StartBrick(name, 0); err != nil {
		t.Fatal(err)
	}
}

// storedLimit returns nil if a brick has this limit for a directory: big-endian, before the percent.
func storedLimit(path string, bytes int64) error {
	value := make([]byte, 64)
	n, err := unix.Getxattr(path, "trusted.glusterfs.quota.limit-set.1", value)
	if want := fmt.Sprintf("%016x", bytes); err == nil && (n != 16 || fmt.Sprintf("%x", value[:8]) != want) {
		err = fmt.Errorf("it has the limit %x", value[:n])
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
