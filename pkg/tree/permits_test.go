// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// endless goes through a tree until its end has come, and counts who is at it.
type endless struct {
	ended  atomic.Bool
	second chan struct{} // closed when two are at it at once

	mu            sync.Mutex
	running, most int
}

func (e *endless) count(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running += n
	if e.running == 2 && e.most < 2 {
		close(e.second)
	}
	e.most = max(e.most, e.running)
}

func (e *endless) Enter(*Directory, *safepath.Dir) error { return nil }

func (e *endless) Entry(_ Worker, _ *Directory, dir *safepath.Dir, name string) error {
	e.count(1)
	defer e.count(-1)
	<-e.second
	_, err := dir.StatEntry(name)
	return err
}

func (e *endless) Leave(d *Directory) (again bool, err error) {
	return d.Parent() == nil && !e.ended.Load(), nil
}

func TestAWalkHasNoMoreWorkersThanPermitsAndGivesWay(t *testing.T) {
	const directories, files, limit = 8, 50, 3
	root := t.TempDir()
	for i := range directories * files {
		dir := filepath.Join(root, fmt.Sprint("d", i%directories))
		must(t, os.MkdirAll(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), nil, 0o600))
	}
	gv0 := gluster.Volume{Cluster: "pi", Name: "gv0"}
	pool := permits.New(limit, func() []gluster.Volume { return []gluster.Volume{gv0} })
	permit, err := pool.Acquire(background, gv0)
	must(t, err)
	ctx, cancel := context.WithTimeout(background, 30*time.Second)
	defer cancel()
	visitor := &endless{second: make(chan struct{})}
	walked := make(chan error, 1)
	top := hold(t, root)
	go func() { walked <- Walk(ctx, top, visitor, Options{Workers: 16, Batch: 8, Permit: permit}) }()
	<-visitor.second
	var calls []*permits.Permit
	for range limit { // all that there are, at once
		call, err := pool.Acquire(ctx, gv0)
		must(t, err)
		calls = append(calls, call)
	}
	if n := pool.Counts()[gv0]; n.Running != limit || n.Waiting == 0 {
		t.Errorf("while calls have all permits: %+v", n)
	}
	visitor.ended.Store(true)
	for _, call := range calls {
		call.Release()
	}
	must(t, <-walked)
	if n := pool.Counts()[gv0]; n != (permits.Count{Running: 1}) {
		t.Errorf("after the walk: %+v", n)
	}
	if visitor.most > limit {
		t.Errorf("%d workers were in it at once, with %d permits", visitor.most, limit)
	}
	permit.Release()
}
