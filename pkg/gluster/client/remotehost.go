// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/starts"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// Mounter is another process of this host, which owns its clients: it has a Host for the same state directory, and
// Runs it.
type Mounter interface {
	// Ensure is Host.Ensure in that process, with the same errors, and ErrUnreachable where the process does not
	// answer.
	Ensure(ctx context.Context, v gluster.Volume, options []string) (Info, error)
}

// NewRemoteHost returns a Host that starts, repairs and ends no clients: the mounter does. It finds those that run by
// the state directory, which is the same for both, also while the mounter is away. Both see the same processes
// (Kubernetes' hostPID), and what is mounted below the state directory in one appears in the other
// (mountPropagation).
func NewRemoteHost(stateDir string, clusters *gluster.ClustersFile, mounter Mounter) (*Host, error) {
	return makeHost(stateDir, clusters, mounter)
}

const (
	// adoptWait is how long a client that nobody waits for is tried to be adopted. What it waits for takes a
	// millisecond.
	adoptWait = 100 * time.Millisecond
	// answerMargin is how much longer the mounter is waited for than it waits itself: its error says more than "no
	// answer".
	answerMargin = 2 * time.Second
	// endWait is how long a client that has ended may take to be seen to.
	endWait = 100 * time.Millisecond
)

// attemptLimit is how long a client is waited for.
func (h *Host) attemptLimit() time.Duration {
	if h.mounter != nil {
		return startTimeout + answerMargin
	}
	return startTimeout
}

// findOrAsk finds the slot's running client, or asks the mounter for one.
func (a *attempt) findOrAsk(ctx context.Context) (*Client, *statedir.Users, error) {
	s := a.slot
	if err := s.dir.Make(); err != nil {
		return nil, nil, err
	}
	c, users, err := s.joinRunning(ctx)
	if c != nil || err != nil {
		return c, users, err
	}
	a.start.Unasked()
	const attempts = 3 // each meets a client that has just ended, which the mounter has not noticed
	var unseen error
	for i := range attempts {
		if i > 0 && !pause(ctx, endWait) {
			break
		}
		info, err := s.askMounter(ctx)
		if err != nil {
			return nil, nil, err
		}
		if c, users, err = s.joinRunning(ctx); c != nil || err != nil {
			return c, users, err
		}
		unseen = s.whyUnseen(info)
	}
	return nil, nil, unseen
}

func (s *slot) askMounter(ctx context.Context) (Info, error) {
	info, err := s.host.mounter.Ensure(ctx, s.volume, s.options)
	if errors.Is(err, gluster.ErrUnknownCluster) || errors.Is(err, gluster.ErrUnknownVolume) {
		// This process knows it. Kubelet updates a ConfigMap at another time in each pod.
		const why = "the mounter has not read the latest clusters file yet, which takes a minute or two"
		return info, fmt.Errorf("%w: %s: %s: %v", gluster.ErrUnreachable, s.volume, why, err) //nolint:errorlint // not its kind
	}
	return info, err
}

// pause returns false if ctx is done before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// joinRunning returns the running client, if there is one, after becoming one of its users. While the mounter gives a
// client up, from its last look for users until the mount point is gone, it waits; after it, what is found stays.
func (s *slot) joinRunning(ctx context.Context) (*Client, *statedir.Users, error) {
	users, err := s.dir.JoinUsers(ctx)
	if errors.Is(err, statedir.ErrBusy) {
		err = fmt.Errorf("%w: %s: the mounter is ending its idle client: %w", gluster.ErrUnreachable, s.volume,
			context.Cause(ctx))
	}
	if err != nil {
		return nil, nil, err
	}
	all, err := starts.Inspect(s.dir)
	r := starts.Usable(s.host.lifetime, all) //nolint:contextcheck // its questions outlive the call
	if r == nil {
		starts.StopWatching(all, nil)
		users.Close()
		return nil, nil, err
	}
	starts.StopWatching(all, r.Process)
	return s.adopted(r), users, nil
}

// whyUnseen says why a client that the mounter has is not to be seen here.
func (s *slot) whyUnseen(info Info) error {
	what := fmt.Sprintf("no such process is seen here: it has ended just now, or mounter and node plugin are not in the "+
		"same PID namespace (hostPID: true in both, see /proc/%d)", info.PID)
	if p, err := process.WatchClient(info.PID, info.Mountpoint); err == nil && p != nil {
		p.Forget()
		what = "nothing is mounted there in this container: the state directory needs mountPropagation, Bidirectional in " +
			"the mounter's and HostToContainer in this one"
	}
	if !s.host.Owns(info.Mountpoint) {
		what = "that is not in this process's state directory " + s.host.root.StateDir() +
			": --state-dir has to be the same for both"
	}
	return fmt.Errorf("%w: %s: the mounter has its client, process %d at %s, but %s", gluster.ErrUnreachable, s.volume,
		info.PID, info.Mountpoint, what)
}

// adoptBound makes a running client the slot's if something is bound from it here. To be a user of an idle one would
// keep the mounter from ending it.
func (s *slot) adoptBound(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, adoptWait)
	defer cancel()
	c, users, err := s.joinRunning(ctx)
	if c == nil {
		return err
	}
	entries, err := mount.List()
	if err != nil || !isBound(entries, c) {
		c.process.Forget()
		users.Close()
		return err
	}
	s.offer(ctx, c, users)
	return nil
}

// dropReplaced empties the slot if the mounter has replaced its client, or is ending it: both begin with the path of its mount point.
func (s *slot) dropReplaced() {
	if c := from(&s.state, (*slotState).latest); c != nil && !statedir.StartOf(c.mountpoint).IsThere() {
		s.state.with(func(s *slotState) { s.drop(c) })
		c.process.Forget()
	}
}
