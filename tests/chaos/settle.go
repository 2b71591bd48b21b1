// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const (
	// settleTimeout is how long everything may take to be as it was before an event.
	settleTimeout = 2 * time.Minute
	// askTimeout bounds one question to a client, whose servers all run.
	askTimeout = 10 * time.Second
	// healInterval is how often GlusterFS is told to heal. It looks for itself when a brick
	// comes back, but a client that comes back to it later leaves more to heal.
	healInterval = 3 * time.Second
)

// settle waits until nothing is left of an event that ended at a moment, so that the next one
// is to blame for whatever comes then, and never meets a brick that lacks what the others
// have: two different bricks, one after the other, would be a lost quorum.
func (w *world) settle(ctx context.Context, mended moment) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for _, condition := range []func(context.Context) error{w.mountsLive, w.connected, w.healed, w.serves} {
		if err := testcluster.Poll(ctx, func() error { return condition(ctx) }); err != nil {
			return err
		}
	}
	return testcluster.Poll(ctx, func() error { return w.writing(mended) })
}

// mountsLive says that every target and every writer has one mount, of a living client.
func (w *world) mountsLive(context.Context) error {
	clients, err := w.driver.clients()
	if err != nil {
		return err
	}
	living := map[uint64]bool{}
	for _, c := range clients {
		living[c.device] = true
	}
	for _, v := range w.volumes {
		at, err := mount.At(v.target)
		if err = errors.Join(err, oneLiving(at, living)); err != nil {
			return fmt.Errorf("at %s: %w", v.target, err)
		}
	}
	for _, c := range w.writers {
		at, err := c.mounts()
		if err = errors.Join(err, oneLiving(at, living)); err != nil {
			return fmt.Errorf("in the namespace of writer %d: %w", c.id, err)
		}
	}
	return nil
}

func oneLiving(at []mount.Entry, living map[uint64]bool) error {
	if len(at) != 1 || !living[deviceNumber(at[0].Device)] {
		return fmt.Errorf("%d mounts, not one of a living client: %+v", len(at), at)
	}
	return nil
}

// connected says that every client is connected to every brick.
func (w *world) connected(context.Context) error {
	clients, err := w.driver.clients()
	if err != nil {
		return err
	}
	for _, c := range clients {
		for i := range w.bricks() {
			ask := func() error { return testcluster.Connected(c.mountpoint, gv0, i) }
			if err := testcluster.Within(askTimeout, ask); err != nil {
				return fmt.Errorf("client %d: %w", c.pid, err)
			}
		}
	}
	return nil
}

// healed waits until all bricks hold the same.
func (w *world) healed(ctx context.Context) error {
	for {
		if w.same() == nil {
			return nil
		}
		if _, err := w.cluster.Gluster("volume", "heal", gv0); err != nil && !strings.Contains(err.Error(), "not up") {
			return err
		}
		again, cancel := context.WithTimeout(ctx, healInterval)
		err := testcluster.Poll(again, w.same)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// same says that no brick blames another, and that they have the same in every writer's file,
// but for what is being written. A client that is killed leaves a record on one brick that
// another never got; no brick is to blame then, and until they are made equal a reader may see
// the record or not.
func (w *world) same() error {
	for i := range w.bricks() {
		// A brick keeps a name here for every file that others lack something of.
		entries, err := os.ReadDir(filepath.Join(w.cluster.BrickPath(gv0, i), ".glusterfs/indices/xattrop"))
		if err != nil {
			return err
		}
		entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "xattrop-") }) // what they are links to
		if len(entries) > 0 {
			return fmt.Errorf("brick %d knows of %d files that others lack something of", i, len(entries))
		}
	}
	for _, c := range w.writers {
		if err := w.sameFile(c); err != nil {
			return err
		}
	}
	return nil
}

// sameFile is same for one file, which one replica set has.
func (w *world) sameFile(c *writerProcess) error {
	set, err := w.setOf(c)
	if err != nil {
		return err
	}
	var shortest []byte
	for n, i := range set {
		content, err := os.ReadFile(filepath.Join(w.cluster.BrickPath(gv0, i), w.file(c)))
		switch {
		case err != nil:
			return err
		case n == 0:
			shortest = content
			continue
		}
		n := min(len(content), len(shortest))
		if !bytes.Equal(content[:n], shortest[:n]) {
			return fmt.Errorf("brick %d has another file of writer %d than those before", i, c.id)
		}
		shortest = shortest[:n]
	}
	return nil
}

// setOf returns the bricks of the replica set that has a writer's file.
func (w *world) setOf(c *writerProcess) (set []int, err error) {
	for i := range w.bricks() {
		switch _, err := os.Lstat(filepath.Join(w.cluster.BrickPath(gv0, i), w.file(c))); {
		case errors.Is(err, os.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case len(set) > 0 && set[0]/bricks != i/bricks:
			return nil, fmt.Errorf("bricks %d and %d, of two replica sets, have the file of writer %d", set[0], i, c.id)
		}
		set = append(set, i)
	}
	if len(set) != bricks {
		return nil, fmt.Errorf("bricks %v have the file of writer %d, not all of a replica set", set, c.id)
	}
	return set, nil
}

// serves says that the node plugin answers, and that it reaches the mounter, by one more
// publish of a volume that is published there.
func (w *world) serves(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	v := w.volumes[0]
	_, err := w.driver.nodes.Node.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: v.GetVolumeId(), VolumePath: v.target})
	return err
}

// writing says that every writer lives, and has written since a moment.
func (w *world) writing(since moment) error {
	for _, c := range w.writers {
		if err := c.journal.refresh(); err != nil {
			return err
		}
		if !c.alive() {
			return fmt.Errorf("writer %d has ended", c.id)
		}
		wrote := false
		for _, e := range c.journal.since(since) {
			wrote = wrote || e.Kind == acknowledged && e.Began >= since
		}
		if !wrote {
			return fmt.Errorf("writer %d has written nothing since", c.id)
		}
	}
	return nil
}
