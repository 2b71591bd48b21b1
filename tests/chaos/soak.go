// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

const (
	// lives go on at once, each on one volume after the other.
	lives = 4
	// retention is how long a deleted volume can be restored here: what is in the trash is to be gone at its end.
	retention = 10 * time.Second
	// callAgain is how long a call is repeated that says it should be.
	callAgain = 5 * time.Minute
	// smallFile is what a volume has in it.
	smallFile = 256 << 10
)

// soak is a world in which volumes come and go on two nodes.
type soak struct {
	*world

	other *driver // the second node's
	made  int     // volumes, in all lives
}

// Soak plays as Run does, on two nodes, while volumes are made, published, written, copied to snapshots and from them,
// expanded, unpublished and deleted, and says what the driver holds at its end beyond what it held after a third of
// the time, or ten minutes. Events that end the driver's own processes do not happen: one that was started again
// would hide what the one before had gathered.
func Soak(ctx context.Context, cluster *testcluster.Cluster, options Options) (err error) {
	w, err := newWorld(ctx, cluster, options)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	s := &soak{world: w}
	if s.other, err = startNode(ctx, cluster, filepath.Join(cluster.Dir(), "other")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.other.stop(ctx), s.other.races()) }()

	begin := min(10*time.Minute, options.Time/3)
	if err := s.period(ctx, begin); err != nil {
		return err
	}
	early, err := s.awaitHeld(ctx, nil)
	if err != nil {
		return err
	}
	w.Log("after %v and %d volumes:\n%v", begin, s.made, early)
	if err := s.period(ctx, options.Time-begin); err != nil {
		return err
	}
	late, err := s.awaitHeld(ctx, early)
	w.Log("after %v and %d volumes:\n%v\n%d events\n\n%s", options.Time, s.made, late, len(w.events), w.table())
	if err != nil {
		return err
	}
	return w.finish(ctx)
}

// period lets volumes live and events happen for a time.
func (s *soak) period(ctx context.Context, lasting time.Duration) error {
	group, inGroup := errgroup.WithContext(ctx)
	deadline := time.Now().Add(lasting)
	made := make([]int, lives)
	for i := range lives {
		random := rand.New(rand.NewPCG(s.Seed, uint64(s.made+i)))
		group.Go(func() error {
			for time.Now().Before(deadline) {
				name := fmt.Sprintf("soak-%d-%d-%d", s.made, i, made[i])
				if err := s.life(inGroup, name, random); err != nil {
					return fmt.Errorf("%s, %s: %w", name, s.lately(), err)
				}
				made[i]++
			}
			return nil
		})
	}
	group.Go(func() error {
		for time.Now().Before(deadline) {
			gentle := slices.DeleteFunc(s.random.Perm(len(kinds)), func(i int) bool { return kinds[i].endsDriver })
			if err := s.one(inGroup, &kinds[gentle[0]]); err != nil {
				return err
			}
		}
		return nil
	})
	err := group.Wait()
	for _, n := range made {
		s.made += n
	}
	return err
}

// life is that of a volume, from its making to its end.
func (s *soak) life(ctx context.Context, name string, random *rand.Rand) (err error) {
	v, err := s.create(ctx, name, nil)
	if err != nil {
		return err
	}
	content := make([]byte, smallFile)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	nodes := []*driver{s.driver, s.other}
	if random.IntN(2) == 0 {
		slices.Reverse(nodes)
	}
	err = s.published(ctx, nodes[0], v, func(dir string) error {
		if err := s.write(ctx, filepath.Join(dir, "file"), content); err != nil {
			return err
		}
		if random.IntN(2) == 0 {
			err = s.expand(ctx, v)
		}
		if err == nil && random.IntN(2) == 0 {
			err = s.snapshot(ctx, nodes[1], v, content)
		}
		return err
	})
	if err == nil && random.IntN(2) == 0 {
		err = s.has(ctx, nodes[1], v, content)
	}
	if err != nil {
		return err
	}
	return s.delete(ctx, v)
}

// again repeats a call that says it should be repeated.
func again(ctx context.Context, what string, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callAgain)
	defer cancel()
	var final error
	err := testcluster.Poll(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute) // as sidecars have it
		defer cancel()
		err := call(ctx)
		if code := status.Code(err); err != nil && code != codes.Unavailable && code != codes.Aborted && code != codes.DeadlineExceeded {
			final, err = err, nil
		}
		return err
	})
	if err = errors.Join(final, err); err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return err
}

func (s *soak) create(ctx context.Context, name string, source *csi.VolumeContentSource) (v *csi.Volume, err error) {
	return v, again(ctx, "create", func(ctx context.Context) error {
		var err error
		v, err = s.driver.controllers.Create(ctx, name, func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = source })
		return err
	})
}

func (s *soak) delete(ctx context.Context, v *csi.Volume) error {
	return again(ctx, "delete", func(ctx context.Context) error { return s.driver.controllers.Delete(ctx, v) })
}

func (s *soak) expand(ctx context.Context, v *csi.Volume) error {
	return again(ctx, "expand", func(ctx context.Context) error {
		_, err := s.driver.controllers.Controller.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{
			VolumeId: v.GetVolumeId(), CapacityRange: &csi.CapacityRange{RequiredBytes: 2 << 30},
		})
		return err
	})
}

// published calls f with the directory in which a node shows the volume meanwhile.
func (s *soak) published(ctx context.Context, node *driver, v *csi.Volume, f func(dir string) error) error {
	target := filepath.Join(node.pods(), filepath.Base(v.GetVolumeId()))
	err := again(ctx, "publish", func(ctx context.Context) error { return node.nodes.Publish(ctx, v, target) })
	if err != nil {
		return err
	}
	err = f(target)
	return errors.Join(err, again(context.WithoutCancel(ctx), "unpublish", func(ctx context.Context) error { return node.nodes.Unpublish(ctx, v, target) }))
}

// has says that a node shows the volume with its file.
func (s *soak) has(ctx context.Context, node *driver, v *csi.Volume, content []byte) error {
	return s.published(ctx, node, v, func(dir string) error {
		var got []byte
		err := whileClientsDie(ctx, func() error {
			var err error
			got, err = os.ReadFile(filepath.Join(dir, "file"))
			return err
		})
		if err == nil && !bytes.Equal(got, content) {
			err = fmt.Errorf("the file has %d bytes that are not those that were written", len(got))
		}
		return err
	})
}

func (s *soak) write(ctx context.Context, path string, content []byte) error {
	return whileClientsDie(ctx, func() error {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = file.Write(content)
		if err == nil {
			err = file.Sync()
		}
		return errors.Join(err, file.Close())
	})
}

// whileClientsDie repeats what a program does with a file of its own until it is done.
func whileClientsDie(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, callAgain)
	defer cancel()
	return testcluster.Poll(ctx, do)
}

// snapshot makes a snapshot of a volume and a volume of that, which it looks at on a node, and deletes both.
func (s *soak) snapshot(ctx context.Context, node *driver, v *csi.Volume, content []byte) error {
	name := "snapshot-of-" + strings.ReplaceAll(v.GetVolumeId(), "/", "-")
	var id string
	err := again(ctx, "snapshot", func(ctx context.Context) error {
		made, err := s.driver.controllers.Controller.CreateSnapshot(ctx, &csi.CreateSnapshotRequest{SourceVolumeId: v.GetVolumeId(), Name: name})
		if err == nil && !made.GetSnapshot().GetReadyToUse() {
			err = status.Error(codes.Aborted, "it is not ready yet")
		}
		id = made.GetSnapshot().GetSnapshotId()
		return err
	})
	if err != nil {
		return err
	}
	clone, err := s.create(ctx, "clone-of-"+name, &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
		Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: id},
	}})
	if err == nil {
		err = s.has(ctx, node, clone, content)
	}
	if err == nil {
		err = s.delete(ctx, clone)
	}
	return errors.Join(err, again(context.WithoutCancel(ctx), "delete the snapshot", func(ctx context.Context) error {
		_, err := s.driver.controllers.Controller.DeleteSnapshot(ctx, &csi.DeleteSnapshotRequest{SnapshotId: id})
		return err
	}))
}

// both are the two nodes' drivers by the names of their nodes.
func (s *soak) both() map[string]*driver {
	return map[string]*driver{testdriver.NodeID: s.driver, "pi-worker2": s.other}
}
