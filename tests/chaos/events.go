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

	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

// kind is a kind of event.
type kind struct {
	name string
	// happen disturbs something and mends it, if it does not mend itself. It sets what it
	// knows of the event; without fresh, the event is over when everything has settled.
	happen func(context.Context, *world, *event) error
	repair repairTime
	// extra says that there need not be one: it is worse than what was asked for.
	extra bool
	// endsDriver says that it ends a process of the driver.
	endsDriver bool
}

// repairTime is what the time to repair of an event means.
type repairTime string

const (
	untilServing repairTime = "from the start of the new process until it serves"
	untilHealed  repairTime = "from its return until clients are connected to it and nothing is left to heal"
	untilWorking repairTime = "from the client's end until the writer's file could be opened again, for each writer"
	untilBack    repairTime = "the same, from the start of the new mounter"
)

// nodePlugin is the index of the event in which nobody answers kubelet.
const nodePlugin = 0

var kinds = []kind{
	nodePlugin: {"node plugin killed", nodeKilled, untilServing, false, true},
	{"client killed", clientKilled, untilWorking, false, false},
	{"client out of memory", clientOutOfMemory, untilWorking, false, false},
	{"brick killed", brickKilled, untilHealed, false, false},
	{"server stopped", serverStopped, untilHealed, false, false},
	{"mounter and clients killed", mounterKilled, untilBack, false, true},
	{"mounter out of memory", mounterOutOfMemory, untilBack, false, true},
	{"cable cut", cableCut, untilHealed, false, false},
	{"mounter killed with its container", containerKilled, untilServing, false, true},
	{"mounter killed", mounterAloneKilled, untilServing, true, true},
	{"client, then mounter killed", repairInterrupted, untilWorking, true, true},
	{"client killed, server silent", clientKilledServerSilent, untilWorking, true, false},
	{"cable half-open", cableHalfOpen, untilHealed, true, false},
	{"cable loses packets", cableLoses, untilHealed, true, false},
}

// event is one that happened.
type event struct {
	kind    *kind
	what    string // whom it met
	began   moment
	mended  moment // what was disturbed is back, or begins to come back
	settled moment
	from    moment // of the repairs
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
	i, absence := w.random.IntN(w.bricks()), w.pause(time.Second, 6*time.Second)
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

// cableCut is serverStopped for whoever is at the other end of the cable, but not for the other servers; and what is
// sent meanwhile is lost.
func cableCut(ctx context.Context, w *world, e *event) error {
	return w.disturb(ctx, e, "cut", wire.Link{Cut: true}, wire.Link{Cut: true})
}

// cableHalfOpen has a server hear its clients, or they it, and not the other way round.
func cableHalfOpen(ctx context.Context, w *world, e *event) error {
	if w.random.IntN(2) == 0 {
		return w.disturb(ctx, e, "cut to the clients", wire.Link{}, wire.Link{Cut: true})
	}
	return w.disturb(ctx, e, "cut to the server", wire.Link{Cut: true}, wire.Link{})
}

func cableLoses(ctx context.Context, w *world, e *event) error {
	bad := wire.Link{Loss: 0.05, Delay: time.Millisecond, Jitter: 5 * time.Millisecond}
	return w.disturb(ctx, e, "losing 5 % of its packets", bad, bad)
}

// disturb does something to the cable of a server for a time, which is sometimes shorter and sometimes longer than what
// clients wait for.
func (w *world) disturb(ctx context.Context, e *event, how string, toServer, toClients wire.Link) error {
	i, lasting := w.random.IntN(bricks), w.pause(pingTimeout/2, 2*pingTimeout)
	e.what = fmt.Sprintf("that of server %d %s for %v", i, how, lasting.Round(time.Millisecond))
	w.Wire.SetServer(i, toServer, toClients)
	err := wait(ctx, lasting)
	w.Wire.SetServer(i, wire.Link{}, wire.Link{})
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

func clientKilled(ctx context.Context, w *world, e *event) error {
	c, err := w.anyClient(e)
	if err != nil {
		return err
	}
	return w.kill(ctx, e, c)
}

func clientOutOfMemory(ctx context.Context, w *world, e *event) error {
	c, err := w.anyClient(e)
	if err != nil {
		return err
	}
	return w.end(ctx, e, func() error { return w.exhaust(ctx, e, c.pid) }, c)
}

// end lets clients end somehow, and remembers when that was.
func (w *world) end(ctx context.Context, e *event, how func() error, clients ...client) error {
	from := now()
	err := how()
	for _, c := range clients {
		err = errors.Join(err, gone(ctx, c.pid))
		w.deaths = append(w.deaths, death{c.device, from, now()})
	}
	e.mended, e.from = now(), now()
	return err
}

// kill is end by SIGKILL, from which the time to repair counts.
func (w *world) kill(ctx context.Context, e *event, clients ...client) error {
	began := now()
	err := w.end(ctx, e, func() error {
		var err error
		for _, c := range clients {
			err = errors.Join(err, unix.Kill(c.pid, unix.SIGKILL))
		}
		return err
	}, clients...)
	e.from = began
	return err
}

func mounterKilled(ctx context.Context, w *world, e *event) error {
	clients, err := w.driver.clients()
	if err == nil {
		err = w.driver.mounter.kill()
	}
	if err == nil {
		err = w.kill(ctx, e, clients...)
	}
	if err != nil {
		return err
	}
	return w.bringBack(ctx, e)
}

func mounterOutOfMemory(ctx context.Context, w *world, e *event) error {
	clients, err := w.driver.clients()
	if err != nil {
		return err
	}
	pids := []int{w.driver.mounter.pid()}
	for _, c := range clients {
		pids = append(pids, c.pid)
	}
	if err := w.end(ctx, e, func() error { return w.exhaust(ctx, e, pids...) }, clients...); err != nil {
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
	if err := w.kill(ctx, e, c); err != nil {
		return err
	}
	killed := e.from
	later := w.pause(0, 300*time.Millisecond)
	e.what += fmt.Sprintf("mounter %v later, ", later.Round(time.Millisecond))
	if err := errors.Join(wait(ctx, later), w.driver.mounter.kill()); err != nil {
		return err
	}
	err = w.bringBack(ctx, e)
	e.from = killed
	return err
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
	if err := errors.Join(w.kill(ctx, e, c), wait(ctx, absence)); err != nil {
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
	e.mended, e.from = now(), now()
	return w.driver.mounter.start(ctx)
}

// play lets events happen until the time is up and there was one of each kind: the kinds in a
// random order, then again in another. The extra ones come from the second time on.
func (w *world) play(ctx context.Context) error {
	began := now()
	for round := 0; ; round++ {
		for _, i := range w.random.Perm(len(kinds)) {
			if round > 0 && now().since(began) >= w.Time {
				return nil
			}
			if round == 0 && kinds[i].extra {
				continue
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
				e.repairs = append(e.repairs, entries[i].Ended.since(e.from))
			}
		}
	}
}
