// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/health"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const (
	// kubeletInterval is how often kubelet asks and a pod comes and goes, which is more often
	// than in a cluster.
	kubeletInterval = 500 * time.Millisecond
	// callTimeout is the deadline of its calls, answerLate by how much an answer may miss it.
	callTimeout, answerLate = 5 * time.Second, 2 * time.Second
)

// kubelet calls the node plugin all the time, whatever happens, and notes what it must not
// answer. The pods that it starts and ends beside the writers' are short-lived.
type kubelet struct {
	world *world
	stop  context.CancelFunc
	ended sync.WaitGroup

	mu      sync.Mutex
	calls   int
	refused int // with a code that kubelet repeats the call after
	longest map[string]time.Duration
	errs    []error
}

func startKubelet(ctx context.Context, w *world) *kubelet {
	ctx, stop := context.WithCancel(ctx)
	k := &kubelet{world: w, stop: stop, longest: map[string]time.Duration{}}
	k.ended.Go(func() {
		for i := 0; wait(ctx, kubeletInterval) == nil; i++ {
			v := w.volumes[i%len(w.volumes)]
			k.ask(ctx, v)
			k.pod(ctx, i, v)
		}
	})
	return k
}

// end ends it and returns what was wrong.
func (k *kubelet) end() error {
	k.stop()
	k.ended.Wait()
	return errors.Join(first(k.errs)...)
}

func (k *kubelet) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return fmt.Sprintf("kubelet: %d calls, %d refused for now; the longest: stats %v, health %v, publish %v, unpublish %v", k.calls, k.refused,
		k.longest["stats"], k.longest["health"], k.longest["publish"], k.longest["unpublish"])
}

// call makes a call. Codes that are good say that it is to be repeated; so does Unavailable, but
// from what answers always it may come only while the node plugin is away. Calls end in time
// whatever they find.
func (k *kubelet) call(name string, call func(context.Context) error, good ...codes.Code) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	began := time.Now()
	err := call(ctx)
	took := time.Since(began)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls++
	if err != nil {
		k.refused++
	}
	k.longest[name] = max(k.longest[name], took.Round(time.Millisecond))
	if code := status.Code(err); code != codes.OK && !slices.Contains(good, code) && (code != codes.Unavailable || !k.world.nodeAway()) {
		k.errs = append(k.errs, fmt.Errorf("%s, %s: %w", name, k.world.lately(), err))
	}
	if took > callTimeout+answerLate {
		k.errs = append(k.errs, fmt.Errorf("%s, %s: took %v", name, k.world.lately(), took))
	}
	return err
}

// ask asks what kubelet asks about every volume now and then. Health is answered whatever hangs; of a client that the
// node plugin has just found it may be unknown for a time, and no longer.
func (k *kubelet) ask(ctx context.Context, v *volume) {
	ask := func(ctx context.Context) error {
		_, err := k.world.driver.nodes.Node.NodeGetVolumeHealth(ctx, &csi.NodeGetVolumeHealthRequest{VolumeId: v.GetVolumeId(), VolumePublishPath: v.target})
		return err
	}
	unknown, cancel := context.WithTimeout(ctx, health.UnknownFor)
	defer cancel()
	_ = testcluster.Poll(unknown, func() error { return k.call("health", ask, codes.Unavailable) })
	_ = k.call("health", ask) // the error is kept
	_ = k.call("stats", func(ctx context.Context) error {
		_, err := k.world.driver.nodes.Node.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: v.GetVolumeId(), VolumePath: v.target})
		return err
	}, codes.DeadlineExceeded, codes.Unavailable)
}

// pod publishes the volume for a moment. The publish may fail while something is away, the
// unpublish only while the node plugin itself is, and then nothing is left of it.
func (k *kubelet) pod(ctx context.Context, i int, v *volume) {
	target := filepath.Join(k.world.driver.pods(), fmt.Sprintf("pod-%d", i))
	_ = k.call("publish", func(ctx context.Context) error {
		return k.world.publish(ctx, v, target)
	}, codes.DeadlineExceeded, codes.Unavailable, codes.Aborted)
	for k.call("unpublish", func(ctx context.Context) error { return k.world.unpublish(ctx, v, target) }) != nil {
		if wait(ctx, kubeletInterval) != nil {
			return // nothingLeft finds it
		}
	}
	at, err := mount.At(target)
	if _, statErr := os.Lstat(target); err != nil || len(at) > 0 || !errors.Is(statErr, os.ErrNotExist) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.errs = append(k.errs, fmt.Errorf("after an unpublish, %s: at %s is %+v, %w", k.world.lately(), target, at, errors.Join(err, statErr)))
	}
}
