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

// beyondPerWriter is what one writer of a full volume may have written beyond its size, on however many bricks. A brick lets
// a write pass as long as less than the size is counted, and it counts what was written after it has answered. As
// writeToTheEnd waits until each MiB is on disk before it writes the next, one may be under way, and the one before it not be
// counted yet.
const beyondPerWriter = 2 * mib

func TestEightWritersOnTwoNodesEndAtTheCapacity(t *testing.T) {
	for layout, options := range map[string]testcluster.VolumeOptions{"replica 2": {}, "2×2": {Subvolumes: 2}} {
		t.Run(layout, func(t *testing.T) {
			c, name, r := onLimitedVolume(t, options)
			const size, writers = 20 * mib, 8
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
			kept := int64(0)
			for i, err := range errs {
				f := filepath.Join(nameOf(v), fmt.Sprint(i))
				kept += largest(t, c, name, f)
				if errors.Is(err, unix.EIO) {
					t.Log(err)
					err = isInSplitBrain(c, name, f)
				}
				if err != nil {
					t.Error(err)
				}
			}
			t.Logf("%.1f MiB went into %d, of which %d were said to be on disk", float64(kept)/mib, size/mib, written.Load()/mib)
			if most := int64(size + writers*beyondPerWriter); kept < size-mib || kept > most || written.Load() > kept {
				t.Errorf("%d bytes went into %d, and %d were said to be on disk", kept, size, written.Load())
			}
			r.unpublish(v, targets...)
		})
	}
}

// largest is how much of a file the brick has that has most of it.
func largest(t *testing.T, c *testcluster.Cluster, volume, file string) (bytes int64) {
	t.Helper()
	for i := range c.Bricks(volume) {
		switch info, err := os.Stat(filepath.Join(c.BrickPath(volume, i), file)); {
		case err == nil:
			bytes = max(bytes, info.Size())
		case !errors.Is(err, os.ErrNotExist): // which is the other replica set's
			t.Error(err)
		}
	}
	return bytes
}

// isInSplitBrain returns nil if two bricks say of each other that they lack something of a file, for which GlusterFS's clients
// answer EIO. It comes to that where several writes are under way when a volume is full, and each brick takes more of
// another one: docs/capacity.md. Otherwise the error says what each brick has.
func isInSplitBrain(c *testcluster.Cluster, volume, file string) error {
	bricks := c.Bricks(volume)
	says := make([]string, bricks)
	accuses := func(i, other int) bool {
		var pending [12]byte // how many operations on the data, on the metadata, on the entries
		n, err := unix.Getxattr(filepath.Join(c.BrickPath(volume, i), file), fmt.Sprintf("trusted.afr.%s-client-%d", volume, other), pending[:])
		if err == nil {
			says[i] += fmt.Sprintf(" %x of brick %d", pending[:n], other)
		}
		return err == nil && n == len(pending) && [4]byte(pending[:4]) != [4]byte{}
	}
	for i := range bricks {
		for other := range i {
			if here, there := accuses(i, other), accuses(other, i); here && there {
				return nil
			}
		}
	}
	for i := range bricks {
		info, err := os.Stat(filepath.Join(c.BrickPath(volume, i), file))
		if err == nil {
			says[i] = fmt.Sprintf("%d bytes, and says%s", info.Size(), says[i])
		}
	}
	return fmt.Errorf("%s is in no split-brain: its bricks have %q", file, says)
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
