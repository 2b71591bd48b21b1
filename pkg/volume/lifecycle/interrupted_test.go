// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/commit"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// point is where an operation is when it passes a name for the n-th time, counted from 0.
type point struct {
	name string
	n    int
}

func (p point) String() string { return fmt.Sprintf("%s (%d)", p.name, p.n) }

// forces are the points that follow a force.
var forces = []string{"on disk", "create: record complete", "restore: ready"}

// split returns the last point of an operation that a force precedes, or nil, and the i-th point if there is more to do
// up to that, or nil.
func split(passed []point, i int) (hold, stop *point) {
	for j := i; j >= 0; j-- {
		if slices.Contains(forces, passed[j].name) {
			hold = &passed[j]
			break
		}
	}
	if hold != &passed[i] {
		stop = &passed[i]
	}
	return hold, stop
}

// interrupted is a verb that is done to a store of its own and stopped on the way.
type interrupted struct {
	verb       verb
	hold, stop *point // hold first, then stop; both nil for a verb that comes to its end
	root       string
	store      *lifecycle.Volumes

	held, goOn, stopped, resume, ended chan struct{}

	mu     sync.Mutex
	passed []point
	err    error // of the verb, when it has ended

	repeated error
	earlier  []error
}

func prepared(t *testing.T, m *testcluster.RawMount, c *commit.Committer, v verb) *interrupted {
	t.Helper()
	u := &interrupted{verb: v, root: volumes.NewRoot(t, m.Path)}
	for _, c := range []*chan struct{}{&u.held, &u.goOn, &u.stopped, &u.resume, &u.ended} {
		*c = make(chan struct{})
	}
	u.reopen(t, m, c)
	return u
}

// reopen gives it the store of a driver that knows nothing, behind another client.
func (u *interrupted) reopen(t *testing.T, m *testcluster.RawMount, c *commit.Committer) {
	t.Helper()
	u.root = filepath.Join(m.Path, filepath.Base(u.root))
	s, closeView, err := volumes.OpenWith(u.root, c)
	volumes.Must(t, err)
	t.Cleanup(closeView)
	s.Recent, s.Abandoned = 0, 0
	u.store = volumes.Reconciled(s)
}

func (u *interrupted) String() string {
	switch {
	case u.stop != nil:
		return fmt.Sprintf("%s/%s", u.verb.name, u.stop)
	case u.hold != nil:
		return fmt.Sprintf("%s/%s", u.verb.name, u.hold)
	}
	return u.verb.name + "/acknowledged"
}

// acknowledged says whether the verb has come to its end.
func (u *interrupted) acknowledged() bool { return u.err == nil }

// errKilled is how a verb ends that is killed.
var errKilled = errors.New("killed at its point")

// begin starts the verb. held is closed when it is at hold, or at once; stopped when it is where the power is to go.
func (u *interrupted) begin(hold, stop *point) {
	var heldOnce, stoppedOnce sync.Once
	atHold := func() { heldOnce.Do(func() { close(u.held) }) }
	atStop := func() { stoppedOnce.Do(func() { close(u.stopped) }) }
	counts := map[string]int{}
	u.store.Step = func(name string) {
		u.mu.Lock()
		at := point{name, counts[name]}
		counts[name]++
		u.passed = append(u.passed, at)
		u.mu.Unlock()
		if hold != nil && at == *hold {
			atHold()
			<-u.goOn
		}
		if stop != nil && at == *stop || stop == nil && hold != nil && at == *hold {
			atStop()
			<-u.resume
			if name != "reap: one file removed" { // there it is a worker of a walk, which goes on
				panic(errKilled)
			}
		}
	}
	go func() {
		defer close(u.ended)
		defer atStop()
		defer atHold()
		defer func() {
			if p := recover(); p != nil {
				u.err = fmt.Errorf("%v", p)
			}
		}()
		if hold == nil && stop != nil {
			atHold()
			<-u.goOn
		}
		u.err = u.verb.do(u.store)
	}()
}
