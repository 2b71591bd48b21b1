// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ages"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount/holders"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/pods"
)

const (
	// killAfter is how long a container has to end after SIGTERM: what Kubernetes gives a pod that says nothing.
	killAfter = 30 * time.Second
	// maxRestarts is how many containers of this host may be told to end within restartWindow: others wait.
	maxRestarts   = 5
	restartWindow = time.Minute
	// restartsKept is how long a restart is remembered at least.
	restartsKept = time.Hour
)

// restarter has containers restarted, by ending the first process of each: kubelet starts it again as its restartPolicy says.
//
// What is written down has stamps, for people. How long ago it was is judged by since when this process has known of it: by the
// stamps, a clock that is set forward would leave a container no time to end, and one that is set back would keep the next from being
// told (TestAClockThatIsSetRestartsAndKillsNobody).
type restarter struct {
	root          statedir.Root
	restarted     *prometheus.CounterVec
	grace, window time.Duration // killAfter and restartWindow, but in tests

	repaired ages.Sightings // of clients, by their connections
	told     ages.Sightings // of restarts, by restartName
}

// due are the clients whose mounts were repaired so long ago that who still has files of them may be restarted.
func (r *restarter) due(ended []statedir.Ended, after time.Duration) map[uint64]bool {
	due, names := map[uint64]bool{}, map[string]bool{}
	for _, e := range ended {
		name := strconv.FormatUint(e.Connection, 10)
		names[name] = !runs(&e) // else it was replaced, and nobody's files are dead yet
		due[e.Connection] = names[name] && !e.Repaired.IsZero() && r.repaired.Age(name) >= after
	}
	r.repaired.Keep(names)
	return due
}

// restartName is that of a restart among the ages. Nothing is told twice because of one client.
func restartName(s statedir.Restart) string {
	return fmt.Sprint(s.Connection, " ", containerOf(s.Holder))
}

// round restarts who is to be restarted among those who have files now. What was done before is read from disk, so each
// container is told once because of each client, whichever process tells it.
func (r *restarter) round(ctx context.Context, due map[uint64]bool, known []statedir.Holder) error {
	restarts, err := r.root.Restarts()
	if errors.Is(err, statedir.ErrSenseless) { // who was told has ended with that boot
		klog.FromContext(ctx).Error(err, "Which containers were restarted is not known any more")
		err = r.root.WriteRestarts(nil)
	}
	if err != nil {
		return err // else it might be told again
	}
	names := map[string]bool{}
	kept := slices.DeleteFunc(slices.Clone(restarts), func(s statedir.Restart) bool {
		names[restartName(s)] = true
		age := r.told.Age(restartName(s))
		_, there := due[s.Connection]
		return !there && age > restartsKept
	})
	r.told.Keep(names)
	if len(kept) < len(restarts) {
		err = r.root.WriteRestarts(kept)
	}
	return errors.Join(err, r.killLate(ctx, kept, known), r.tell(ctx, kept, due, known))
}

// loses says whether a process has what it loses writes by, or reads nothing from, as long as it runs: not a working directory alone.
func loses(h statedir.Holder) bool { return !h.Replaced && (h.Writable > 0 || h.Mapped > 0) }

func containerOf(h statedir.Holder) pods.Container {
	return pods.Container{Pod: h.Pod, Group: h.Container}
}

func isOf(h statedir.Holder, connection uint64, c pods.Container) bool {
	return h.Connection == connection && containerOf(h) == c
}

// tell sends SIGTERM to containers that are due and were not told before.
func (r *restarter) tell(ctx context.Context, restarts []statedir.Restart, due map[uint64]bool, known []statedir.Holder) error {
	candidates := slices.DeleteFunc(slices.Clone(known), func(h statedir.Holder) bool {
		return !due[h.Connection] || !loses(h) || h.Pod == "" || h.Container == "" || h.Root == "" ||
			slices.ContainsFunc(restarts, func(s statedir.Restart) bool { return isOf(s.Holder, h.Connection, containerOf(h)) })
	})
	if len(candidates) == 0 {
		return nil
	}
	published, err := r.root.Published()
	errs := []error{err}
	for _, h := range candidates {
		isMeant := slices.ContainsFunc(published, func(p statedir.Published) bool { return p.Restart && p.Pod == h.Pod && p.Has(h.Volume, h.Root) })
		if !isMeant || slices.ContainsFunc(restarts, func(s statedir.Restart) bool { return isOf(s.Holder, h.Connection, containerOf(h)) }) {
			continue
		}
		if r.recent(restarts) >= maxRestarts {
			break
		}
		f, err := firstOf(containerOf(h))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		restart := statedir.Restart{Holder: h, First: f.pid, FirstStart: f.start, Told: time.Now().UTC()}
		restarts = append(restarts, restart)
		errs = append(errs, r.signal(ctx, f, unix.SIGTERM, h, restarts))
		r.told.Age(restartName(restart)) // from here its time to end counts
	}
	return errors.Join(errs...)
}

// recent is how many containers were told to end just now.
func (r *restarter) recent(restarts []statedir.Restart) int {
	n := 0
	for _, s := range restarts {
		if r.told.Age(restartName(s)) < r.window {
			n++
		}
	}
	return n
}

// killLate kills the containers that have not ended, and still have what they were told to end for.
func (r *restarter) killLate(ctx context.Context, restarts []statedir.Restart, known []statedir.Holder) error {
	var errs []error
	for i := range restarts {
		s := &restarts[i]
		stillHas := slices.ContainsFunc(known, func(h statedir.Holder) bool { return loses(h) && isOf(h, s.Connection, containerOf(s.Holder)) })
		if !s.Killed.IsZero() || r.told.Age(restartName(*s)) < r.grace || !stillHas {
			continue
		}
		s.Killed = time.Now().UTC()
		errs = append(errs, r.signal(ctx, first{containerOf(s.Holder), s.First, s.FirstStart}, unix.SIGKILL, s.Holder, restarts))
	}
	return errors.Join(errs...)
}

// signal writes down first what it does, so that a process that ends in between does not lead to a second signal.
func (r *restarter) signal(ctx context.Context, f first, signal unix.Signal, because statedir.Holder, restarts []statedir.Restart) error {
	if err := r.root.WriteRestarts(restarts); err != nil {
		return err
	}
	sent, err := signalFirst(f, signal)
	if !sent {
		return err // it has ended meanwhile
	}
	if signal == unix.SIGTERM {
		r.restarted.WithLabelValues(because.Cluster, because.Name).Inc()
	}
	klog.FromContext(ctx).Info("Ending a container that keeps files of a dead client open, as its class says; kubelet starts it again", "pod", because.Pod,
		"container", f.container.ID(), "signal", unix.SignalName(signal), "firstProcess", f.pid, "because", because.PID, "command", because.Command,
		"volume", because.Volume, "directory", because.Root, "forWriting", because.Writable, "mapped", because.Mapped, "clientEnded", because.Since)
	return nil
}

// first is the first process of a container.
type first struct {
	container pods.Container
	pid       int
	start     uint64
}

// firstOf finds it by the container's control group: it need not be process 1 of any namespace (shareProcessNamespace, hostPID).
// It is the one that was started first of those whose parent is not in the container.
func firstOf(c pods.Container) (first, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return first{}, err
	}
	parents, starts := map[int]int{}, map[int]uint64{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pods.OfProcess(pid) != c {
			continue
		}
		parent, start, err := holders.Stat(pid)
		if err != nil {
			return first{}, err // it may be the first
		}
		if start != 0 {
			parents[pid], starts[pid] = parent, start
		}
	}
	found := first{container: c}
	for pid, start := range starts {
		if _, within := starts[parents[pid]]; within {
			continue
		}
		if found.pid == 0 || start < found.start || start == found.start && pid < found.pid {
			found.pid, found.start = pid, start
		}
	}
	if found.pid == 0 {
		return first{}, fmt.Errorf("container %s of pod %s has no process any more", c.ID(), c.Pod)
	}
	return found, nil
}

// signalFirst sends a signal, if that process is still the one that was meant. One that has ended is no error.
func signalFirst(f first, signal unix.Signal) (sent bool, err error) {
	fd, err := unix.PidfdOpen(f.pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("end process %d: %w", f.pid, err)
	}
	defer func() { _ = unix.Close(fd) }()
	_, start, err := holders.Stat(f.pid)
	if err != nil || start != f.start || pods.OfProcess(f.pid) != f.container { // the descriptor may be another's
		return false, err
	}
	err = unix.PidfdSendSignal(fd, signal, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("end process %d: %w", f.pid, err)
	}
	return true, nil
}
