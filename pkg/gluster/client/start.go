// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// startTimeout is longer than ping-timeout (42 s by default): a client comes up even where one of its servers is
// silently gone.
const startTimeout = 50 * time.Second

// attempt is one search for a slot's client, with the start of one if there is none. Several callers may wait for it,
// and those that stop waiting still read what is needed to say why.
type attempt struct {
	slot    *slot
	servers []string
	begun   guarded[begun]

	done   chan struct{} // closed when it has ended; the outcome below is not read before, nor changed after
	client *Client
	err    error
}

func newAttempt(s *slot, servers []string) *attempt {
	return &attempt{slot: s, servers: servers, done: make(chan struct{})}
}

// begun is what is known of a start that has begun.
type begun struct {
	answers *glusterd.Answers // of the servers; nil until then
	logFrom int64             // where in the log this start begins
}

// begin remembers what the servers said, and where this start begins in the log.
func (a *attempt) begin(answers glusterd.Answers) {
	b := begun{answers: &answers}
	if info, err := os.Stat(a.slot.dir.Log()); err == nil {
		b.logFrom = info.Size()
	}
	a.begun.with(func(known *begun) { *known = b })
}

func (a *attempt) hasBegun() begun { return from(&a.begun, func(b *begun) begun { return *b }) }

// start launches a client, which may be in use from then on. After an error nothing of it is left.
func (a *attempt) start(ctx context.Context, lock *statedir.Lock) (*Client, error) {
	c, err := a.launch(ctx, lock)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.makeSpare(), statedir.StartOf(c.mountpoint).MarkReady(c.process.PID)); err != nil {
		return nil, errors.Join(err, c.abandon())
	}
	return c, nil
}

// makeSpare gives the client its spare mount, if it has none. It asks GlusterFS nothing.
func (c *Client) makeSpare() error {
	root, err := safepath.OpenRoot(c.mountpoint)
	if err != nil {
		return err
	}
	defer root.Close()
	return statedir.StartOf(c.mountpoint).MakeSpare(root.Fd())
}

// launch runs a client on a fresh mount point and returns it when it is mounted and answers. After an error nothing
// of it is left.
func (a *attempt) launch(ctx context.Context, lock *statedir.Lock) (c *Client, err error) {
	s := a.slot
	defer func() { s.host.countStart(s.volume, err) }()
	began := time.Now()
	if err := s.dir.Describe(s.volume, s.options); err != nil {
		return nil, fmt.Errorf("prepare the start of a client: %w", err)
	}
	start, err := lock.NewStart()
	if err != nil {
		return nil, fmt.Errorf("prepare the start of a client: %w", err)
	}
	answers := glusterd.Probe(ctx, a.servers)
	a.begin(answers)
	p, err := process.Launch(a.arguments(answers.Order, start.Mountpoint()), s.dir.Stderr())
	if err != nil {
		return nil, errors.Join(a.explain(gluster.ErrUnreachable, err), start.Discard())
	}
	c = &Client{slot: s, process: p, mountpoint: start.Mountpoint()}
	if err := c.awaitReady(ctx); err != nil {
		return nil, errors.Join(a.explain(kindOf(err), err), c.abandon())
	}
	klog.FromContext(ctx).Info("Started a client", "pid", p.PID, "mountpoint", c.mountpoint,
		"servers", answers.String(), "took", time.Since(began).Round(time.Millisecond))
	return c, nil
}

// arguments are those of the client. The mount point is the last one, by which the process is found again.
func (a *attempt) arguments(servers []string, mountpoint string) []string {
	args := []string{
		"--no-daemon",
		"--process-name", "fuse", // as mount.glusterfs calls it, and `gluster volume status NAME client-list` knows
		"--log-file=" + a.slot.dir.Log(),
	}
	for _, server := range servers {
		args = append(args, "--volfile-server="+server)
	}
	args = append(args, "--volfile-id=/"+a.slot.volume.Name)
	return append(append(args, gluster.Arguments(a.slot.volume.Name, a.slot.options)...), mountpoint)
}
