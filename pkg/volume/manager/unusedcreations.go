// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

// tries are the creations that have failed for their caller, and may have come to an end all the same: when the
// volume of that name is made on another Gluster volume then, because its class has changed meanwhile, nobody knows
// of the first, and nobody would delete it.
type tries struct {
	mu     sync.Mutex
	failed map[string]failedTry        // by CSI name
	unused map[gluster.Volume][]string // CSI names whose volume is elsewhere
}

// failedTry is where the creations of one name have failed, and when the last one has.
type failedTry struct {
	on   []gluster.Volume
	last time.Time
}

// triesCount is for how long a creation that has failed is remembered: longer than a provisioner waits between two tries
// (minutes), or is away. The claim of one that nobody repeats any more was deleted.
const triesCount = 24 * time.Hour

// begin says that a volume is wanted there.
func (t *tries) begin(name string, v gluster.Volume) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if left := slices.DeleteFunc(t.unused[v], func(n string) bool { return n == name }); len(left) == 0 {
		delete(t.unused, v)
	} else {
		t.unused[v] = left
	}
}

func (t *tries) end(name string, v gluster.Volume, made bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed, t.unused = map[string]failedTry{}, map[gluster.Volume][]string{}
	}
	if !made {
		maps.DeleteFunc(t.failed, func(_ string, try failedTry) bool { return time.Since(try.last) > triesCount })
		try := failedTry{t.failed[name].on, time.Now()}
		if !slices.Contains(try.on, v) {
			try.on = append(try.on, v)
		}
		t.failed[name] = try
		return
	}
	for _, other := range t.failed[name].on {
		if other != v {
			t.unused[other] = append(t.unused[other], name)
		}
	}
	delete(t.failed, name)
}

func (t *tries) unusedOn(v gluster.Volume) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.unused[v])
}

func (t *tries) isUnused(name string, v gluster.Volume) bool {
	return slices.Contains(t.unusedOn(v), name)
}

// isRefused says of the error of a creation that it has made no volume: one of that name that is there is not of this try.
func isRefused(err error) bool {
	return slices.ContainsFunc([]error{
		volume.ErrIncompatible, volume.ErrForeign, volume.ErrNested, volume.ErrInvalid, volume.ErrTooLarge, volume.ErrProvisioned, volume.ErrUnlimited,
	}, func(kind error) bool { return errors.Is(err, kind) })
}

// giveUpUnused deletes on a Gluster volume what was made for a caller that has its volume elsewhere now.
func (m *Manager) giveUpUnused(ctx context.Context, v gluster.Volume) error {
	var errs []error
	for _, name := range m.tries.unusedOn(v) {
		err := m.change(ctx, v, volume.IDFor(name), func(s *lifecycle.Volumes) error {
			if !m.tries.isUnused(name, v) { // wanted again meanwhile
				return nil
			}
			return s.DeleteUnused(context.WithoutCancel(ctx), name)
		})
		if err == nil || errors.Is(err, volume.ErrForeign) {
			m.tries.begin(name, v) // nothing is left to do
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
