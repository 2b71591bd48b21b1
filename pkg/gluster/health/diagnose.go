// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/starts"
)

// silentAfter is how long an answer may take before somebody is called silent: an answer takes a millisecond, and
// seconds on a Pi whose disk is at its limit.
const silentAfter = 5 * time.Second

// UnknownFor is how long the health may stay Unknown of a client that runs and was not known before, as after a start
// of this process or after another client's death: then what keeps it from answering is a reason
// (TestAClientThatIsFoundWhileABrickIsSilentIsKnown).
const UnknownFor = silentAfter

// view is what is known about a running client at one moment.
type view struct {
	volume gluster.Volume
	pid    int
	now    time.Time

	probe.Observed

	refusals map[string]string // why bricks that are not connected refuse the client, by their translators
	refused  string            // what to do then: that does not pass by itself

	silent string // the servers and their trouble if none gives a sign of life; only where it matters
}

func viewOf(ctx context.Context, c *client.Client, now time.Time) view {
	v := view{volume: c.Volume(), pid: c.Info().PID, now: now, Observed: c.Observed()}
	if v.Reading != nil && slices.ContainsFunc(v.Reading.Bricks, func(b meta.BrickState) bool { return !b.Connected }) {
		v.refusals = c.Refusals()
		v.refused = v.refusalCure(ctx)
	}
	return v
}

// refusalCure is "" where no brick refuses the client.
func (v *view) refusalCure(ctx context.Context) string {
	for _, b := range v.Reading.Graph.Bricks {
		if v.refusals[b.Translator] != "" {
			return "; " + starts.RefusalCure(ctx, v.volume, b.Host, v.refusals)
		}
	}
	return ""
}

// needsServers says that the client waits for an answer and so cannot put another question: the servers are to be
// asked whether those that had answered it still do.
func (v *view) needsServers() bool { return v.isSilent(v.ProbeAsked) }

func (v *view) isSilent(asked time.Time) bool {
	return !asked.IsZero() && v.now.Sub(asked) >= silentAfter
}

// hasTold says whether the client has told its own state or answered once, be it with an error.
func (v *view) hasTold() bool { return v.Reading != nil || !v.Answered.IsZero() || v.ProbeErr != nil }

// diagnose adds to the report what is wrong with the Gluster volume by this client.
func (v *view) diagnose(r *findings) {
	if v.isSilent(v.ReadAsked) {
		r.add(Inaccessible, ClientUnresponsive,
			fmt.Sprintf("the client of %s (process %d) runs and has not told its own state for %s; "+
				"it may be stopped, or out of memory",
				v.volume, v.pid, roundedAge(v.now.Sub(v.ReadAsked))))
	}
	if v.Reading != nil {
		r.age = max(r.age, v.now.Sub(v.Reading.At))
		v.diagnoseBricks(r)
	} else if !v.ReadAsked.IsZero() {
		r.age = max(r.age, v.now.Sub(v.ReadAsked))
	}
	v.diagnoseProbe(r)
}

func (v *view) diagnoseBricks(r *findings) {
	g := v.Reading.Graph
	trouble := map[string]string{} // of translators that are not reachable
	var all []string
	for i, b := range g.Bricks {
		what := v.brickTrouble(i)
		r.addBrick(b, what == "")
		if what != "" {
			text := fmt.Sprintf("brick %s:%s %s", b.Host, b.Path, what)
			trouble[b.Translator] = text
			all = append(all, text)
		}
	}
	if len(all) == len(g.Bricks) {
		message := fmt.Sprintf("no brick of %s is reachable: %s%s", v.volume, strings.Join(all, ", "), v.refused)
		r.add(Inaccessible, ClusterUnreachable, message, v.lastAnswer())
		return
	}
	inSet := map[string]bool{}
	for i, s := range g.Sets {
		var lost []string
		for _, child := range s.Children {
			inSet[child] = true
			if text := trouble[child]; text != "" {
				lost = append(lost, text)
			}
		}
		switch {
		case !v.Reading.Sets[i].Up || len(lost) == len(s.Children):
			r.add(Inaccessible, QuorumLost, v.quorumLost(i, lost), v.age()...)
		case len(lost) > 0:
			r.add(Degraded, BrickUnreachable, fmt.Sprintf("%s: %s%s", v.volume, strings.Join(lost, ", "), v.refused), v.age()...)
		}
	}
	for _, b := range g.Bricks {
		if text := trouble[b.Translator]; text != "" && !inSet[b.Translator] {
			message := fmt.Sprintf("%s: %s, and no other brick has its files", v.volume, text)
			r.add(Inaccessible, BrickUnreachable, message, v.age()...)
		}
	}
}

func (v *view) quorumLost(i int, lost []string) string {
	text := fmt.Sprintf("%s: %s has lost its quorum", v.volume, v.Reading.Graph.Sets[i].Translator)
	if kind := v.Reading.Sets[i].Quorum; kind != "" {
		text += " (quorum-type " + kind + ")"
	}
	if len(lost) > 0 {
		text += ": " + strings.Join(lost, ", ")
	}
	if v.refused != "" {
		return text + v.refused
	}
	return text + "; it recovers by itself when enough bricks are back"
}

// brickTrouble says what keeps a brick from being reachable, or "".
func (v *view) brickTrouble(i int) string {
	switch {
	case !v.Reading.Bricks[i].Connected && v.refusals[v.Reading.Graph.Bricks[i].Translator] != "":
		return "refuses this node"
	case !v.Reading.Bricks[i].Connected:
		return "is not connected"
	case v.Reading.IsDown(i):
		return "is connected and says that it is down"
	case v.hasHeardNothing(i):
		return "does not answer"
	}
	return ""
}

// age is that of the last answer, where one is waited for.
func (v *view) age() []string {
	if v.isSilent(v.ProbeAsked) {
		return []string{v.lastAnswer()}
	}
	return nil
}

// hasHeardNothing says whether not one byte came from a brick since the client was asked what it must ask every
// brick, long enough ago. A silent brick stays connected until ping-timeout (42 s).
func (v *view) hasHeardNothing(i int) bool {
	return !v.ProbeAsked.IsZero() && v.Reading.At.Sub(v.ProbeAsked) >= silentAfter &&
		v.Before != nil && v.Before.Graph == v.Reading.Graph &&
		v.Before.Bricks[i].Received == v.Reading.Bricks[i].Received
}

// diagnoseProbe adds what the client's answers tell beyond the bricks.
func (v *view) diagnoseProbe(r *findings) {
	waits := v.isSilent(v.ProbeAsked)
	switch {
	case waits && v.silent != "" && !r.has(ClusterUnreachable):
		message := fmt.Sprintf("no server of %s gives a sign of life: %s", v.volume, v.silent)
		r.add(Inaccessible, ClusterUnreachable, message, v.lastAnswer())
	case waits && len(r.reasons) == 0:
		r.add(Degraded, ProbeTimeout, fmt.Sprintf("%s: its client waits for an answer", v.volume), v.lastAnswer())
	case v.ProbeErr == nil || !v.ProbeAsked.IsZero() || errors.Is(v.ProbeErr, probe.ErrGone):
		// All is well, or what the next answer will be is not known yet, or it was unmounted where the driver looks.
	case errors.Is(v.ProbeErr, unix.ENOTCONN):
		// The process runs, so it is the bricks that are not connected, or were not until a moment ago.
		if !r.has(ClusterUnreachable) && !r.has(QuorumLost) {
			r.add(Inaccessible, QuorumLost,
				fmt.Sprintf("%s has no quorum or no bricks (%v); it recovers by itself when enough bricks are back",
					v.volume, v.ProbeErr))
		}
	default:
		r.add(Degraded, ProbeFailed, fmt.Sprintf("%s: its root directory cannot be read: %v", v.volume, v.ProbeErr))
	}
}

func (v *view) lastAnswer() string {
	if v.Answered.IsZero() {
		return "the last good answer came before the driver was started"
	}
	return "the last good answer came " + roundedAge(v.now.Sub(v.Answered)) + " ago"
}

// roundedAge rounds an age more the higher it is: a message that changes with every second would be written to the
// API server each time.
func roundedAge(age time.Duration) string {
	switch {
	case age >= time.Hour:
		return fmt.Sprintf("%dh", age/time.Hour)
	case age >= time.Minute:
		return fmt.Sprintf("%dm", age/time.Minute)
	case age >= 10*time.Second:
		return fmt.Sprintf("%d0s", age/(10*time.Second))
	}
	return fmt.Sprintf("%ds", age/time.Second)
}

// addRestrictions adds the options of the Gluster volume that forbid what the driver does: files can be read, as far as
// their owner and mode allow it. Servers are not asked where it is inaccessible.
func (o *Observer) addRestrictions(ctx context.Context, r *findings, v gluster.Volume) {
	if slices.ContainsFunc(r.reasons, func(reason Reason) bool { return reason.State == Inaccessible }) {
		return
	}
	for _, restriction := range o.settings.Get(ctx, v).Restrictions {
		r.add(Degraded, restriction.Code, restriction.Says(v))
	}
}
