// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// repeated calls fn as kubelet and the sidecars do: again while it says Aborted, or one of
// the other codes that allow it.
func repeated(fn func() error, also ...codes.Code) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var final error
	err := testcluster.Poll(ctx, func() error {
		err := fn()
		switch got := status.Code(err); got {
		case codes.OK, codes.Aborted:
			return err
		default:
			for _, code := range also {
				if got == code {
					return err
				}
			}
			final = err
			return nil
		}
	})
	if final != nil {
		return final
	}
	return err
}

func TestTheSameCallTenTimes(t *testing.T) {
	r := onGV0(t)
	name := newName()
	var v *csi.Volume
	target := r.target("pod")
	ten := func(call func() error) {
		t.Helper()
		for range 10 {
			code(t, call(), codes.OK)
		}
	}
	ten(func() (err error) {
		before := v
		v, err = r.tryCreate(request(name))
		if before != nil && before.String() != v.String() {
			return fmt.Errorf("%v became %v", before, v)
		}
		return err
	})
	ten(func() error { return r.tryPublish(v, target) })
	mountAt(t, target)
	ten(func() error { return r.tryUnpublish(v, target) })
	nothingAt(t, target)
	ten(func() error { return r.delete(v) })
	stored(t, healthy(t), "gv0", name, trashed(name))
	r.pid()
}

// many runs call 16 times at once, and returns the first error.
func many(call func() error) error {
	var group errgroup.Group
	for range 16 {
		group.Go(func() error { return repeated(call) })
	}
	return group.Wait()
}

func TestTheSameCallSixteenTimesAtOnce(t *testing.T) {
	r := onGV0(t)
	name := newName()
	var mu sync.Mutex
	made := map[string]*csi.Volume{}
	code(t, many(func() error {
		v, err := r.tryCreate(request(name, "uid", "1001", "path", "shop/${pv.name}"))
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			made[v.String()] = v
		}
		return err
	}), codes.OK)
	if len(made) != 1 {
		t.Fatalf("it was made as %v", made)
	}
	var v *csi.Volume
	for _, v = range made {
	}
	stored(t, healthy(t), "gv0", name, "shop/"+name, record(name))
	target := r.target("pod")
	code(t, many(func() error { return r.tryPublish(v, target) }), codes.OK)
	mountAt(t, target)
	r.pid()
	if got := owner(t, target); got != "1001:0 2770" {
		t.Errorf("it belongs to %s", got)
	}
	code(t, many(func() error { return r.tryUnpublish(v, target) }), codes.OK)
	nothingAt(t, target)
	code(t, many(func() error { return r.delete(v) }), codes.OK)
	stored(t, healthy(t), "gv0", name, trashed(name))
}

func TestTwoControllersAtOnceOnTheSameName(t *testing.T) {
	clusters := clustersYAML(healthy(t).Servers(), "gv0")
	// `all` is for one machine: its client, which is the pods', believes for a second what was at a name.
	asController := func(o *Options) { o.Mode = Controller }
	controllers := []*rig{serve(t, clusters, asController), serve(t, clusters, asController)}
	for range 5 {
		name := newName()
		var group errgroup.Group
		for i := range 8 {
			group.Go(func() error {
				return repeated(func() error {
					_, err := controllers[i%2].tryCreate(request(name, "path", "both/${pv.name}"))
					return err
				})
			})
		}
		code(t, group.Wait(), codes.OK)
		// GlusterFS 10.3 itself errs once in a few hundred times when two clients make one directory at the same moment, and has it on one
		// brick only, until it heals.
		if _, err := healthy(t).Gluster("volume", "heal", "gv0", "full"); err != nil {
			t.Fatal(err)
		}
		stored(t, healthy(t), "gv0", name, "both/"+name, record(name))
		v := &csi.Volume{VolumeId: testcluster.Name + "/gv0/" + name}
		group = errgroup.Group{}
		for i := range 8 {
			group.Go(func() error { return repeated(func() error { return controllers[i%2].delete(v) }) })
		}
		code(t, group.Wait(), codes.OK)
		stored(t, healthy(t), "gv0", name, trashed(name))
	}
	stored(t, healthy(t), "gv0", "both") // the parent went with the last of them
}

// cancelled calls fn with a context that ends at a random moment of the time that fn
// takes. It says whether fn was cut short.
func cancelled(takes time.Duration, fn func(ctx context.Context) error) (bool, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timer := time.AfterFunc(rand.N(takes), cancel)
	defer timer.Stop()
	err := fn(ctx)
	if status.Code(err) == codes.Canceled {
		return true, nil
	}
	return false, err
}

func TestCallsCancelledHalfWayAreFinishedByTheirRepetition(t *testing.T) {
	const rounds = 24
	r := onGV0(t)
	takes, cut := map[string]time.Duration{}, map[string]int{}
	try := func(rpc string, call func(ctx context.Context) error) {
		t.Helper()
		if takes[rpc] == 0 { // the first time, in peace
			began := time.Now()
			code(t, call(t.Context()), codes.OK)
			takes[rpc] = time.Since(began)
			return
		}
		was, err := cancelled(takes[rpc], call)
		if err != nil && status.Code(err) != codes.Aborted {
			t.Errorf("%s: %v", rpc, err)
		}
		if was {
			cut[rpc]++
		}
	}
	code(t, r.delete(r.create()), codes.OK) // the client is there
	for i := range rounds {
		name := newName()
		wanted := request(name, "uid", "1001", "path", "cut/${pv.name}")
		v := &csi.Volume{VolumeId: testcluster.Name + "/gv0/" + name, VolumeContext: map[string]string{pathKey: "cut/" + name}}
		target := r.target(fmt.Sprint(i))
		try("CreateVolume", func(ctx context.Context) error {
			_, err := r.controller.CreateVolume(ctx, wanted)
			return err
		})
		code(t, repeated(func() error { _, err := r.tryCreate(wanted); return err }), codes.OK)
		stored(t, healthy(t), "gv0", name, "cut/"+name, record(name))

		try("NodePublishVolume", func(ctx context.Context) error {
			_, err := r.node.NodePublishVolume(ctx, publishRequest(v, target))
			return err
		})
		// What kubelet does when the pod is gone meanwhile: nothing is mounted later.
		r.unpublish(v, target)
		code(t, repeated(func() error { return r.tryPublish(v, target+"-next") }), codes.OK) // waits for the first
		nothingAt(t, target)

		try("NodeGetVolumeStats", func(ctx context.Context) error {
			_, err := r.node.NodeGetVolumeStats(ctx, statsRequest(v, target+"-next"))
			return err
		})
		try("NodeUnpublishVolume", func(ctx context.Context) error {
			_, err := r.node.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: v.GetVolumeId(), TargetPath: target + "-next"})
			return err
		})
		code(t, repeated(func() error { return r.tryUnpublish(v, target+"-next") }), codes.OK)
		nothingAt(t, target+"-next")

		try("DeleteVolume", func(ctx context.Context) error {
			_, err := r.controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: v.GetVolumeId()})
			return err
		})
		code(t, repeated(func() error { return r.delete(v) }), codes.OK)
		stored(t, healthy(t), "gv0", name, trashed(name))
	}
	stored(t, healthy(t), "gv0", "cut")
	t.Logf("cut short in %d rounds: %v", rounds, cut)
	for _, rpc := range []string{"CreateVolume", "NodePublishVolume", "DeleteVolume"} {
		if cut[rpc] == 0 {
			t.Errorf("%s was never cut short", rpc)
		}
	}
	r.pid()
	if claims, err := filepath.Glob(filepath.Join(healthy(t).BrickPath("gv0", 0), ".glusterfs-csi/creating/??/*")); err != nil || len(claims) > 0 {
		t.Errorf("half-made volumes: %v, %v", claims, err)
	}
}

// TestWhatWasBegunBeforeAnUnpublishMountsNothingAfterIt holds a publish at the moment
// before it mounts, as a busy node may.
func TestWhatWasBegunBeforeAnUnpublishMountsNothingAfterIt(t *testing.T) {
	r := onGV0(t)
	v := r.create()
	var group errgroup.Group
	for i := range 20 {
		target := r.target(fmt.Sprint(i))
		group.Go(func() error {
			ctx, cancel := r.context()
			defer cancel()
			published := make(chan error, 1)
			go func() {
				_, err := r.node.NodePublishVolume(ctx, publishRequest(v, target))
				published <- err
			}()
			unpublished := r.tryUnpublish(v, target)
			err := <-published
			at, listErr := mount.At(target)
			switch {
			case unpublished != nil || listErr != nil:
				return fmt.Errorf("%w, %w", unpublished, listErr)
			case err == nil && len(at) == 1: // it began after the unpublish, or the other way round
				return r.tryUnpublish(v, target)
			case len(at) != 0:
				return fmt.Errorf("%w, yet it is mounted", err)
			case err != nil && status.Code(err) != codes.Aborted:
				return err
			}
			return nil
		})
	}
	code(t, group.Wait(), codes.OK)
	code(t, r.delete(v), codes.OK)
}
