// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// Attempt is one start of a client in a slot. Several may ask it at once why it failed, or has not come to its end yet.
type Attempt struct {
	slot    statedir.Slot
	volume  gluster.Volume
	options []string // normalized
	pool    glusterd.Pool
	apart   *Apart

	mu    sync.Mutex
	begun begun
}

// New is a start of a client with these normalized options in the slot, at the servers of the cluster.
func New(slot statedir.Slot, v gluster.Volume, options []string, cluster gluster.Cluster, apart *Apart) *Attempt {
	return &Attempt{slot: slot, volume: v, options: options, pool: glusterd.PoolOf(cluster), apart: apart}
}

// begun is what is known of a start that has begun.
type begun struct {
	answers *glusterd.Answers // of the servers; nil until then
	logFrom int64             // where in the log this start begins
	brick   brickFault        // if it is TLS with bricks that fails
}

// Unasked says of a start that somebody else makes that no server was asked from here, for Explain.
func (a *Attempt) Unasked() { a.begin(glusterd.Unasked(a.pool)) }

// begin remembers what the servers said, and where this start begins in the log.
func (a *Attempt) begin(answers glusterd.Answers) {
	b := begun{answers: &answers}
	if info, err := os.Stat(a.slot.Log()); err == nil {
		b.logFrom = info.Size()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = b
}

func (a *Attempt) hasBegun() begun {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.begun
}

// Launch runs a client on a fresh mount point and returns it when it is mounted and answers; questions to it end with
// lifetime. After an error nothing of it is left.
func (a *Attempt) Launch(ctx, lifetime context.Context, lock *statedir.Lock) (*Running, error) {
	began := time.Now()
	if err := a.slot.Describe(a.volume, a.options); err != nil {
		return nil, fmt.Errorf("prepare the start of a client: %w", err)
	}
	start, err := lock.NewStart()
	if err != nil {
		return nil, fmt.Errorf("prepare the start of a client: %w", err)
	}
	shown, err := a.credentials()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", gluster.ErrUnreachable, a.volume, err), start.Discard())
	}
	defer func() { _ = shown.Close() }() // the process has its own
	answers := a.pool.Probe(ctx)
	a.begin(answers)
	p, err := a.apart.launch(ctx, a.volume, a.slot, start, a.arguments(answers.Order, start.Mountpoint()), shown)
	if err != nil {
		return nil, errors.Join(a.Explain(ctx, gluster.ErrUnreachable, err), start.Discard())
	}
	r := &Running{Process: p, Mountpoint: start.Mountpoint()}
	if err := r.awaitReady(ctx, lifetime); err != nil {
		kind := KindOf(err)
		if errors.Is(kind, gluster.ErrNotConnected) {
			a.findBrickFault(ctx)
		}
		return nil, errors.Join(a.Explain(ctx, kind, err), a.Abandon(r))
	}
	klog.FromContext(ctx).Info("Started a client", "pid", p.PID, "mountpoint", r.Mountpoint,
		"servers", answers.String(), "took", time.Since(began).Round(time.Millisecond))
	return r, nil
}

// Abandon ends a client that this start has launched and that nobody uses, and removes what is left of it.
func (a *Attempt) Abandon(r *Running) error {
	if r.Prober != nil {
		r.Prober.Close()
	}
	err := errors.Join(r.Process.End(), statedir.StartOf(r.Mountpoint).Discard())
	r.Process.Forget()
	a.apart.Sweep()
	return err
}

// arguments are those of the client. The mount point is the last one, by which the process is found again.
func (a *Attempt) arguments(servers []string, mountpoint string) []string {
	args := []string{
		"--no-daemon",
		"--process-name", "fuse", // as mount.glusterfs calls it, and `gluster volume status NAME client-list` knows
		"--log-file=" + a.slot.Log(),
	}
	if t := a.pool.TLS; t != nil && t.Management {
		args = append(args, "--secure-mgmt=on")
	}
	for _, server := range servers {
		args = append(args, "--volfile-server="+server)
	}
	args = append(args, "--volfile-id=/"+a.volume.Name)
	return append(append(args, gluster.Arguments(a.volume.Name, a.options)...), mountpoint)
}
