// SPDX-License-Identifier: Apache-2.0

// Package holders finds out which processes still have files of clients that have ended, tells the node plugin, and restarts the
// containers whose class says so. The repair brings every path back; what was open stays dead until it is opened anew, and many
// programs never do that: they go on, and lose what they write.
//
// What had been mounted from those clients is read from the state directory, where the repair has written it. As long as the
// kernel has a dead client's file system, somebody holds it: one cheap look. Who it is takes a look at all processes: at once, and
// then further and further apart. Nobody can open a file of a dead client, so in between only those who are known are looked at.
// Nothing here is in the way of a repair.
package holders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount/holders"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/pods"
)

// DefaultRestartAfter is how long after the repair a container may go on with files of a dead client: others reopen them by themselves.
const DefaultRestartAfter = 30 * time.Second

const (
	// interval is how often it is looked whether those who are known to have files still have them.
	interval = 10 * time.Second
	// maxLookInterval is how far looks at all processes become apart.
	maxLookInterval = 10 * time.Minute
)

// Watcher looks for holders on one host.
type Watcher struct {
	root     statedir.Root
	after    time.Duration
	interval time.Duration
	metrics  metrics

	// Of Run's goroutine only.
	looker    looker           // nil until there is something to look for
	looks     map[uint64]*pace // by connection
	known     []statedir.Holder
	told      bool
	restarter restarter
}

// looker is holders.Looker, but in tests.
type looker interface {
	Look(ctx context.Context, wanted holders.Wanted) (holders.Found, error)
	LookAt(ctx context.Context, wanted holders.Wanted, pids []int) (holders.Found, error)
}

// pace is when all processes are looked at next because of one client.
type pace struct {
	wait time.Duration
	due  time.Time
}

func (p *pace) looked(now time.Time) {
	p.wait = min(max(interval, 2*p.wait), maxLookInterval)
	p.due = now.Add(p.wait)
}

// New returns a Watcher for the clients of a state directory. A container is restarted, where its class says so, when it has
// had files for so long after the repair. The metrics are registered with registry, unless that is nil.
func New(root statedir.Root, restartAfter time.Duration, registry prometheus.Registerer) *Watcher {
	w := &Watcher{root: root, after: restartAfter, interval: interval, metrics: newMetrics(registry), looks: map[uint64]*pace{}}
	w.restarter = restarter{root: root, restarted: w.metrics.restarted, grace: killAfter, window: restartWindow}
	return w
}

// Run looks until ctx is done. At most one Watcher of a state directory may Run: see client.Host.Keep.
func (w *Watcher) Run(ctx context.Context) {
	said := ""
	look := func(ctx context.Context) {
		err := panics.Guard("look for who has files of dead clients", func() error { return w.round(ctx) })
		if err != nil && ctx.Err() == nil && err.Error() != said {
			klog.FromContext(ctx).Error(err, "Not all is known of who has files of dead clients; trying again")
		}
		said = ""
		if err != nil {
			said = err.Error()
		}
	}
	panics.EveryFromNow(ctx, w.interval, "look for who has files of dead clients", look)
}

func (w *Watcher) round(ctx context.Context) error {
	ended, err := There(w.root)
	if len(ended) > 0 && w.looker == nil {
		looker, errLooker := holders.NewLooker()
		if errLooker != nil {
			return errors.Join(err, errLooker)
		}
		w.looker = looker
	}
	before := w.known
	var errLook error
	w.known, errLook = w.look(ctx, ended)
	err = errors.Join(err, errLook)
	if !w.told || !slices.Equal(before, w.known) {
		errTell := w.root.WriteHolders(w.known)
		w.told = errTell == nil
		err = errors.Join(err, errTell)
		w.metrics.show(w.known)
		logNew(ctx, before, w.known)
	}
	return errors.Join(err, w.restarter.round(ctx, w.restarter.due(ended, w.after), w.known))
}

// There lists the clients that have ended and whose file systems there still are. Others are forgotten.
func There(root statedir.Root) ([]statedir.Ended, error) {
	ended, err := root.Ended()
	if len(ended) == 0 {
		return nil, err
	}
	var there []statedir.Ended
	for _, e := range ended {
		id, errID := holders.Connection(e.Device)
		switch {
		case errID != nil:
			err = errors.Join(err, errID)
		case id == e.Connection:
			there = append(there, e)
		default:
			err = errors.Join(err, root.ForgetEnded(&e))
		}
	}
	return there, err
}

// look returns who holds these clients' file systems now, as far as is known.
func (w *Watcher) look(ctx context.Context, ended []statedir.Ended) ([]statedir.Holder, error) {
	now := time.Now()
	looks, all := map[uint64]*pace{}, false
	for _, e := range ended {
		p := w.looks[e.Connection]
		if p == nil {
			p = &pace{}
		}
		looks[e.Connection] = p
		all = all || !now.Before(p.due)
	}
	w.looks = looks
	if len(ended) == 0 {
		return nil, nil
	}
	wanted := wantedOf(ended)
	var found holders.Found
	var err error
	if all {
		for _, p := range looks {
			if !now.Before(p.due) {
				p.looked(now)
			}
		}
		found, err = lookAtAll(ctx, w.looker, wanted)
	}
	if !all || err != nil {
		some, errSome := w.looker.LookAt(ctx, wanted, pidsOf(w.known))
		found.Processes = slices.DeleteFunc(found.Processes, func(p holders.Process) bool {
			return slices.ContainsFunc(some.Processes, func(s holders.Process) bool { return s.PID == p.PID })
		})
		found.Processes, found.Unknown = append(found.Processes, some.Processes...), some.Unknown
		err = errors.Join(err, errSome)
	}
	return w.withUnknown(ended, found), err
}

// withUnknown is what was found, and what is known of processes that could not be looked at now: they hold it until one sees that they do
// not, or they end.
func (w *Watcher) withUnknown(ended []statedir.Ended, found holders.Found) []statedir.Holder {
	now := holdersOf(ended, found)
	for _, h := range w.known {
		isFound := slices.ContainsFunc(found.Processes, func(p holders.Process) bool { return p.PID == h.PID })
		isThere := slices.ContainsFunc(ended, func(e statedir.Ended) bool { return e.Connection == h.Connection })
		if isFound || !isThere || !slices.Contains(found.Unknown, h.PID) {
			continue
		}
		if _, start, err := holders.Stat(h.PID); err != nil || start == h.Start {
			now = append(now, h)
		}
	}
	slices.SortFunc(now, compare)
	return now
}

// lookAtAll fails where a process is left out, after looking at the others.
func lookAtAll(ctx context.Context, looker looker, wanted holders.Wanted) (holders.Found, error) {
	found, err := looker.Look(ctx, wanted)
	if n := len(found.Unknown) + found.Partly; err == nil && n > 0 {
		err = fmt.Errorf("%d processes cannot be looked at: they do not answer at this moment, or have too many files open", n)
	}
	return found, err
}

func pidsOf(known []statedir.Holder) []int {
	var pids []int
	for _, h := range known {
		pids = append(pids, h.PID)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// wantedOf is what to look for of clients that have ended.
func wantedOf(ended []statedir.Ended) holders.Wanted {
	w := holders.Wanted{Devices: map[mount.Device]bool{}, Mounts: map[int]bool{}}
	for _, e := range ended {
		w.Devices[e.Device] = true
		for _, ids := range e.Mounts {
			for _, id := range ids {
				w.Mounts[id] = true
			}
		}
	}
	return w
}

// Look is one look at all processes, for an administrator.
func Look(ctx context.Context, root statedir.Root) ([]statedir.Holder, error) {
	ended, err := There(root)
	if len(ended) == 0 {
		return nil, err
	}
	looker, errLooker := holders.NewLooker()
	if errLooker != nil {
		return nil, errors.Join(err, errLooker)
	}
	found, errLook := lookAtAll(ctx, looker, wantedOf(ended))
	return holdersOf(ended, found), errors.Join(err, errLook)
}

// holdersOf says what was found in the words of Gluster volumes and pods.
func holdersOf(ended []statedir.Ended, found holders.Found) []statedir.Holder {
	of, replaced, roots := map[mount.Device]*statedir.Ended{}, map[mount.Device]bool{}, map[mount.Device]map[int]string{}
	for i := range ended {
		e := &ended[i]
		of[e.Device], replaced[e.Device], roots[e.Device] = e, runs(e), map[int]string{}
		for root, ids := range e.Mounts {
			for _, id := range ids {
				roots[e.Device][id] = root
			}
		}
	}
	var all []statedir.Holder
	for _, p := range found.Processes {
		in := pods.Of(p.Cgroup)
		for _, h := range p.Holds {
			e := of[h.Device]
			if e == nil {
				continue
			}
			all = append(all, statedir.Holder{
				Volume: e.Volume, Connection: e.Connection, Since: e.Since, Replaced: replaced[h.Device], Root: roots[h.Device][h.Mount],
				Pod: in.Pod, Container: in.Group, PID: p.PID, Start: p.Start, Command: printable(p.Command),
				Files: h.Files, Writable: h.Writable, Mapped: h.Mapped, Cwd: h.Cwd, RootDir: h.Root,
			})
		}
	}
	slices.SortFunc(all, compare)
	return all
}

// compare is the order of what is said.
func compare(a, b statedir.Holder) int {
	return cmp.Or(gluster.CompareVolumes(a.Volume, b.Volume), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.PID, b.PID),
		cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Root, b.Root))
}

// runs says whether a client's process still runs: then it was replaced, and serves those who have its files.
func runs(e *statedir.Ended) bool {
	if e.PID == 0 {
		return false
	}
	p, err := process.WatchClient(e.PID, e.Mountpoint)
	if p != nil {
		p.Forget()
	}
	return p != nil || err != nil // one that does not show its arguments is there
}

// printable is a name that a process has given itself.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}
