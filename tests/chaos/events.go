// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// kind is a kind of event.
type kind struct {
	name string
	// happen disturbs something and mends it, if it does not mend itself. It sets what it
	// knows of the event; without fresh, the event is over when everything has settled.
	happen func(context.Context, *world, *event) error
	repair repairTime
}

// repairTime is what the time to repair of an event means.
type repairTime string

const (
	untilServing repairTime = "from the start of the new process until it serves"
	untilHealed  repairTime = "from its return until clients are connected to it and nothing is left to heal"
	untilWorking repairTime = "from the kill until the writer's file could be opened again, for each writer"
	untilBack    repairTime = "the same, from the start of the new mounter"
)

// nodePlugin is the index of the event in which nobody answers kubelet.
const nodePlugin = 0

var kinds = []kind{
	nodePlugin: {"node plugin killed", nodeKilled, untilServing},
	{"client killed", clientKilled, untilWorking},
	{"client out of memory", clientOutOfMemory, untilWorking},
	{"brick killed", brickKilled, untilHealed},
	{"server stopped", serverStopped, untilHealed},
	{"mounter and clients killed", mounterKilled, untilBack},
	{"mounter out of memory", mounterOutOfMemory, untilBack},
	{"mounter killed", mounterAloneKilled, untilServing},
	{"client, then mounter killed", repairInterrupted, untilBack},
	{"client killed, server silent", clientKilledServerSilent, untilWorking},
}

// event is one that happened.
type event struct {
	kind    *kind
	what    string // whom it met
	began   moment
	mended  moment // what was disturbed is back, or begins to come back
	settled moment
	repairs []time.Duration
}

// pause returns a random time.
func (w *world) pause(from, to time.Duration) time.Duration {
	return from + time.Duration(w.random.Int64N(int64(to-from)))
}

// wait waits, or until ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func nodeKilled(ctx context.Context, w *world, e *event) error {
	absence := w.pause(0, 3*time.Second)
	e.what = fmt.Sprintf("away for %v", absence.Round(time.Millisecond))
	if err := errors.Join(w.driver.node.kill(), wait(ctx, absence)); err != nil {
		return err
	}
	e.mended = now()
	err := w.driver.node.start(ctx)
	e.repairs = []time.Duration{now().since(e.mended)}
	return err
}

func brickKilled(ctx context.Context, w *world, e *event) error {
	i, absence := w.random.IntN(bricks), w.pause(time.Second, 6*time.Second)
	e.what = fmt.Sprintf("brick %d, away for %v", i, absence.Round(time.Millisecond))
	if err := errors.Join(w.cluster.KillBrick(gv0, i), wait(ctx, absence)); err != nil {
		return err
	}
	err := w.cluster.StartBrick(gv0, i)
	e.mended = now()
	return err
}

// serverStopped is sometimes shorter and sometimes longer than what clients wait for.
func serverStopped(ctx context.Context, w *world, e *event) error {
	i, absence := w.random.IntN(bricks), w.pause(pingTimeout/2, 2*pingTimeout)
	e.what = fmt.Sprintf("server %d, silent for %v", i, absence.Round(time.Millisecond))
	if err := errors.Join(w.cluster.StopServer(i), wait(ctx, absence)); err != nil {
		return err
	}
	err := w.cluster.ContinueServer(i)
	e.mended = now()
	return err
}

// anyClient chooses a client.
func (w *world) anyClient(e *event) (client, error) {
	clients, err := w.driver.clients()
	if err == nil && len(clients) != len(clientOptions) {
		err = fmt.Errorf("there are %d clients, not %d: %+v", len(clients), len(clientOptions), clients)
	}
	if err != nil {
		return client{}, err
	}
	c := clients[w.random.IntN(len(clients))]
	e.what = fmt.Sprintf("process %d, ", c.pid)
	return c, nil
}

func clientKilled(_ context.Context, w *world, e *event) error {
	c, err := w.anyClient(e)
	if err != nil {
		return err
	}
	w.dies(c)
	e.mended = now()
	return unix.Kill(c.pid, unix.SIGKILL)
}

func clientOutOfMemory(ctx context.Context, w *world, e *event) error {
	c, err := w.anyClient(e)
	if err != nil {
		return err
	}
	w.dies(c)
	e.mended = now()
	return w.exhaust(ctx, e, c.pid)
}

// dies remembers that a client is about to end, for which the event is to blame.
func (w *world) dies(clients ...client) {
	for _, c := range clients {
		w.deaths = append(w.deaths, death{c.device, now()})
	}
}

func mounterKilled(ctx context.Context, w *world, e *event) error {
	clients, err := w.driver.clients()
	if err != nil {
		return err
	}
	w.dies(clients...)
	if err := w.driver.mounter.kill(); err != nil {
		return err
	}
	for _, c := range clients {
		if err := unix.Kill(c.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return w.bringBack(ctx, e)
}

func mounterOutOfMemory(ctx context.Context, w *world, e *event) error {
	clients, err := w.driver.clients()
	if err != nil {
		return err
	}
	w.dies(clients...)
	pids := []int{w.driver.mounter.pid()}
	for _, c := range clients {
		pids = append(pids, c.pid)
	}
	if err := w.exhaust(ctx, e, pids...); err != nil {
		return err
	}
	return w.bringBack(ctx, e)
}

// mounterAloneKilled leaves the clients, whose writers must not notice.
func mounterAloneKilled(ctx context.Context, w *world, e *event) error {
	if err := w.driver.mounter.kill(); err != nil {
		return err
	}
	if err := w.bringBack(ctx, e); err != nil {
		return err
	}
	e.repairs = []time.Duration{now().since(e.mended)}
	return nil
}

// repairInterrupted kills the mounter while it starts a client, or repairs its mounts.
func repairInterrupted(ctx context.Context, w *world, e *event) error {
	c, err := w.anyClient(e)
	if err != nil {
		return err
	}
	w.dies(c)
	if err := unix.Kill(c.pid, unix.SIGKILL); err != nil {
		return err
	}
	later := w.pause(0, 300*time.Millisecond)
	e.what += fmt.Sprintf("mounter %v later, ", later.Round(time.Millisecond))
	if err := errors.Join(wait(ctx, later), w.driver.mounter.kill()); err != nil {
		return err
	}
	return w.bringBack(ctx, e)
}

// clientKilledServerSilent kills a client that has to be started again while one server does
// not answer. Writers of the other client only wait.
func clientKilledServerSilent(ctx context.Context, w *world, e *event) error {
	i, absence := w.random.IntN(bricks), w.pause(pingTimeout/2, 2*pingTimeout)
	if err := errors.Join(w.cluster.StopServer(i), wait(ctx, w.pause(0, 2*time.Second))); err != nil {
		return err
	}
	c, err := w.anyClient(e)
	if err != nil {
		return err
	}
	e.what += fmt.Sprintf("server %d silent for %v more", i, absence.Round(time.Millisecond))
	w.dies(c)
	e.mended = now()
	if err := errors.Join(unix.Kill(c.pid, unix.SIGKILL), wait(ctx, absence)); err != nil {
		return err
	}
	return w.cluster.ContinueServer(i)
}

// bringBack starts a new mounter, as kubelet does with a container that ended.
func (w *world) bringBack(ctx context.Context, e *event) error {
	absence := w.pause(0, 2*time.Second)
	e.what += fmt.Sprintf("away for %v", absence.Round(time.Millisecond))
	if err := wait(ctx, absence); err != nil {
		return err
	}
	e.mended = now()
	return w.driver.mounter.start(ctx)
}

// play lets events happen in turn until the time is up and there was one of each kind: all
// kinds in a random order, and then all again.
func (w *world) play(ctx context.Context) error {
	for began := now(); ; {
		order := w.random.Perm(len(kinds))
		for _, i := range order {
			if now().since(began) >= w.Time && len(w.events) >= len(kinds) {
				return nil
			}
			if err := w.one(ctx, &kinds[i]); err != nil {
				return err
			}
		}
	}
}

// one lets an event happen and waits until nothing is left of it.
func (w *world) one(ctx context.Context, k *kind) error {
	e := &event{kind: k, began: now()}
	w.mu.Lock()
	w.events = append(w.events, e)
	w.mu.Unlock()
	err := k.happen(ctx, w, e)
	if err == nil {
		err = w.settle(ctx, e.mended)
	}
	e.settled = now()
	if err != nil {
		return fmt.Errorf("%s (%s): %w", k.name, e.what, err)
	}
	w.timeRepairs(e)
	e.what = strings.TrimSuffix(e.what, ", ")
	w.Log("%s (%s): settled after %v", k.name, e.what, e.settled.since(e.began).Round(time.Millisecond))
	if err := w.judge(); err != nil {
		return err
	}
	return ctx.Err()
}

// timeRepairs finds out how long the repairs of an event took that has settled.
func (w *world) timeRepairs(e *event) {
	switch e.kind.repair {
	case untilServing:
	case untilHealed:
		e.repairs = []time.Duration{e.settled.since(e.mended)}
	case untilWorking, untilBack:
		for _, c := range w.writers {
			entries := c.journal.since(e.began)
			if i := slices.IndexFunc(entries, func(o entry) bool { return o.Kind == opened }); i >= 0 {
				e.repairs = append(e.repairs, entries[i].Ended.since(e.mended))
			}
		}
	}
}

// gone waits until processes have ended.
func gone(ctx context.Context, pids ...int) error {
	return testcluster.Poll(ctx, func() error {
		for _, pid := range pids {
			if state := processState(pid); state != 0 && state != 'Z' {
				return fmt.Errorf("process %d has not ended (%c)", pid, state)
			}
		}
		return nil
	})
}
