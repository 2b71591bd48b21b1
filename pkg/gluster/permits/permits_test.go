// SPDX-License-Identifier: Apache-2.0

package permits

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

var gv0, gv1, gv2 = gluster.Volume{Cluster: "pi", Name: "gv0"}, gluster.Volume{Cluster: "pi", Name: "gv1"}, gluster.Volume{Cluster: "pi", Name: "gv2"}

func pool(limit int, listed ...gluster.Volume) *Pool {
	return New(limit, func() []gluster.Volume { return listed })
}

func acquire(t *testing.T, p *Pool, v gluster.Volume) *Permit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	permit, err := p.Acquire(ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	return permit
}

// most acquires permits until there is none any more, and returns them.
func most(t *testing.T, p *Pool, v gluster.Volume) (held []*Permit) {
	t.Helper()
	first := acquire(t, p, v)
	for permit, free := first, true; free; permit, free = first.Another() {
		held = append(held, permit)
	}
	return held
}

func counts(t *testing.T, p *Pool, v gluster.Volume, want Count) {
	t.Helper()
	if got := p.Counts()[v]; got != want {
		t.Errorf("%s has %+v, want %+v", v, got, want)
	}
}

func TestTheFirstDeadlineGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(1, gv0)
		running := acquire(t, p, gv0)
		var mu sync.Mutex
		var order []string
		for _, each := range []struct {
			name     string
			deadline time.Duration // 0 for none
		}{{"none", 0}, {"a minute", time.Minute}, {"two seconds", 2 * time.Second}, {"ten minutes", 10 * time.Minute}, {"a minute, too", time.Minute}} {
			ctx := t.Context()
			if each.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, each.deadline)
				defer cancel()
			}
			go func() {
				permit, err := p.Acquire(ctx, gv0)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, each.name)
				permit.Release()
			}()
			synctest.Wait()
		}
		counts(t, p, gv0, Count{Running: 1, Waiting: 5})
		running.Release()
		synctest.Wait()
		want := []string{"two seconds", "a minute", "a minute, too", "none", "ten minutes"}
		if !slices.Equal(order, want) {
			t.Errorf("the order is %q, want %q", order, want)
		}
		counts(t, p, gv0, Count{})
	})
}

func TestWhoseContextEndsLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(2, gv0)
		held := most(t, p, gv0)
		for what, end := range map[string]struct {
			context func() (context.Context, context.CancelFunc)
			cause   error
		}{
			"late": {func() (context.Context, context.CancelFunc) { return context.WithTimeout(t.Context(), time.Second) }, context.DeadlineExceeded},
			"cancelled": {func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			}, context.Canceled},
		} {
			ctx, cancel := end.context()
			permit, err := p.Acquire(ctx, gv0)
			cancel()
			if permit != nil || !errors.Is(err, end.cause) || !strings.Contains(err.Error(), "2 operations of this process on pi/gv0") ||
				!strings.Contains(err.Error(), "gluster volume status gv0") {
				t.Errorf("%s: %v, %v", what, permit, err)
			}
			if _, err := p.Acquire(ctx, gv0); !errors.Is(err, end.cause) {
				t.Errorf("%s already: %v", what, err)
			}
		}
		counts(t, p, gv0, Count{Running: 2})
		for _, permit := range held {
			permit.Release()
		}
		if again := most(t, p, gv0); len(again) != 2 {
			t.Errorf("there are %d permits afterwards", len(again))
		}
	})
}

func TestLongWorkGivesWayToCallsAndGoesOnAfterThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(1, gv0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		grant, err := p.Acquire(ctx, gv0)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute) // its caller has left long ago
		var order []string
		call := func(name string, limit time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			permit, err := p.Acquire(ctx, gv0)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			order = append(order, name) // by one at a time
			permit.Release()
		}
		go call("provisioner", 90*time.Second)
		go call("kubelet", 10*time.Second)
		synctest.Wait()
		grant.GiveWay()
		order = append(order, "grant")
		go call("late", time.Second)
		synctest.Wait()
		grant.GiveWay() // not yet: it has just begun to go on
		order = append(order, "grant")
		time.Sleep(turn)
		grant.GiveWay()
		if want := []string{"kubelet", "provisioner", "grant", "grant", "late"}; !slices.Equal(order, want) {
			t.Errorf("the order is %q, want %q", order, want)
		}
		grant.Release()
		counts(t, p, gv0, Count{})
	})
}

// Calls that come for ever do not keep long work from going on.
func TestLongWorkIsNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(2, gv0)
		ctx, stop := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for ctx.Err() == nil {
					limited, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					if permit, err := p.Acquire(limited, gv0); err == nil {
						time.Sleep(time.Second)
						permit.Release()
					}
					cancel()
				}
			})
		}
		reaper, err := p.Acquire(t.Context(), gv0)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			began := time.Now()
			time.Sleep(turn)
			reaper.GiveWay()
			if took := time.Since(began); took > unhurried+2*time.Second {
				t.Errorf("it had to wait for %v", took)
			}
		}
		reaper.Release()
		stop()
		callers.Wait()
	})
}

// A goroutine has given way to a Gluster volume that hangs, and the one that waits for it has the last permit.
func TestWhoWaitsForOthersHasNoPermitMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(4, gv0, gv1) // 1 each, 2 in common
		hung := most(t, p, gv1)
		hung[0].Release()
		walk := acquire(t, p, gv0)
		another, free := walk.Another()
		if !free {
			t.Fatal("there is no other")
		}
		go func() { _ = acquire(t, p, gv1) }()
		time.Sleep(turn)
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer another.Release()
			another.GiveWay()
		}()
		synctest.Wait()
		walk.Without(func() { <-done })
		counts(t, p, gv0, Count{Running: 1})
		counts(t, p, gv1, Count{Running: 3})
	})
}

// Who catches the panic gives the permit back, once.
func TestAPermitComesBackWhenWhatIsWaitedForPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(4, gv0)
		permit := acquire(t, p, gv0)
		if caught := panics.Try(func() { permit.Without(func() { panic("broken") }) }); caught == nil || caught.Value != "broken" {
			t.Errorf("caught %v", caught)
		}
		counts(t, p, gv0, Count{Running: 1})
		permit.Release()
		counts(t, p, gv0, Count{})
	})
}

func TestManyAtOnceStayWithinTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(4, gv0, gv1)
		var mu sync.Mutex
		var running, highest int
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			running += n
			highest = max(highest, running)
		}
		inCall := func() {
			count(1)
			time.Sleep(time.Duration(rand.IntN(3)) * turn)
			count(-1)
		}
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				permit := acquire(t, p, []gluster.Volume{gv0, gv1}[i%2])
				defer permit.Release()
				var others sync.WaitGroup
				for range 3 {
					if another, free := permit.Another(); free {
						others.Go(func() {
							defer another.Release()
							for range 5 {
								inCall()
								another.GiveWay()
							}
						})
					}
				}
				inCall()
				permit.Without(others.Wait)
				inCall()
			})
		}
		all.Wait()
		if highest != 4 {
			t.Errorf("%d were at it at once, want 4", highest)
		}
		counts(t, p, gv0, Count{})
		if len(p.lines) != 0 {
			t.Errorf("lines are left: %v", p.lines)
		}
	})
}

func TestNoPermitIsNoBound(t *testing.T) {
	var none *Permit
	another, free := none.Another()
	none.GiveWay()
	called := false
	none.Without(func() { called = true })
	none.Release()
	if another != nil || !free || !called {
		t.Errorf("%v, %v, %v", another, free, called)
	}
}

// On whichever goroutine it happens, the one who has called gets it, and what was begun has ended.
func TestAPanicInOneOfManyIsTheCallers(t *testing.T) {
	for name, wrong := range map[string]int{"in the first": 0, "in the last": 1} {
		t.Run(name, func(t *testing.T) {
			var both sync.WaitGroup // so that each is on a goroutine of its own
			both.Add(2)
			ended := make([]bool, 2)
			caught := panics.Try(func() {
				Beside(nil, 2, func(i int) {
					both.Done()
					both.Wait()
					defer func() { ended[i] = true }()
					if i == wrong {
						panic("broken")
					}
				})
			})
			if caught == nil || caught.Value != "broken" || !ended[0] || !ended[1] {
				t.Errorf("caught %v, ended %v", caught, ended)
			}
		})
	}
}
