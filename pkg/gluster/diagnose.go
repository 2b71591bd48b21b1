// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// silentAfter is how long an answer may take before somebody is called silent: an answer takes a millisecond, and seconds on a Pi
// whose disk is at its limit.
const silentAfter = 5 * time.Second

// view is what is known about a running client at one moment.
type view struct {
	volume Volume
	pid    int
	now    time.Time

	reading    *reading  // the last one; nil if there was none yet
	readErr    error     // why there is no newer one
	readAsked  time.Time // when the reading under way began; zero if none is
	probeAsked time.Time // when the probe under way began; zero if none is
	before     *reading  // just before that; may be nil
	probeErr   error     // of the last probe that ended
	answered   time.Time // when a probe succeeded last; zero if never

	silent string // the servers and their trouble if none gives a sign of life; only where it matters
}

// needsServers says that the client waits for an answer and so cannot put another question: the servers are to be asked whether
// those that had answered it still do.
func (v *view) needsServers() bool { return v.isSilent(v.probeAsked) }

func (v *view) isSilent(asked time.Time) bool {
	return !asked.IsZero() && v.now.Sub(asked) >= silentAfter
}

// diagnose adds to the report what is wrong with the Gluster volume by this client.
func (v *view) diagnose(r *report) {
	if v.isSilent(v.readAsked) {
		r.add(Inaccessible, ClientUnresponsive, fmt.Sprintf("the client of %s (process %d) runs and has not told its own state for %s; it may be stopped, or out of memory",
			v.volume, v.pid, rough(v.now.Sub(v.readAsked))))
	}
	if v.reading != nil {
		r.age = max(r.age, v.now.Sub(v.reading.at))
		v.diagnoseBricks(r)
	} else if !v.readAsked.IsZero() {
		r.age = max(r.age, v.now.Sub(v.readAsked))
	}
	v.diagnoseProbe(r)
}

func (v *view) diagnoseBricks(r *report) {
	g := v.reading.graph
	trouble := map[string]string{} // of translators that are not reachable
	var all []string
	for i, b := range g.bricks {
		what := v.brickTrouble(i)
		r.addBrick(b, what == "")
		if what != "" {
			text := fmt.Sprintf("brick %s:%s %s", b.host, b.path, what)
			trouble[b.translator] = text
			all = append(all, text)
		}
	}
	if len(all) == len(g.bricks) {
		r.add(Inaccessible, ClusterUnreachable, fmt.Sprintf("no brick of %s is reachable: %s", v.volume, strings.Join(all, ", ")), v.lastAnswer())
		return
	}
	inSet := map[string]bool{}
	for i, s := range g.sets {
		var lost []string
		for _, child := range s.children {
			inSet[child] = true
			if text := trouble[child]; text != "" {
				lost = append(lost, text)
			}
		}
		switch {
		case !v.reading.sets[i].up || len(lost) == len(s.children):
			r.add(Inaccessible, QuorumLost, v.quorumLost(i, lost), v.age()...)
		case len(lost) > 0:
			r.add(Degraded, BrickUnreachable, fmt.Sprintf("%s: %s", v.volume, strings.Join(lost, ", ")), v.age()...)
		}
	}
	for _, b := range g.bricks {
		if text := trouble[b.translator]; text != "" && !inSet[b.translator] {
			r.add(Inaccessible, BrickUnreachable, fmt.Sprintf("%s: %s, and no other brick has its files", v.volume, text), v.age()...)
		}
	}
}

func (v *view) quorumLost(i int, lost []string) string {
	text := fmt.Sprintf("%s: %s has lost its quorum", v.volume, v.reading.graph.sets[i].translator)
	if kind := v.reading.sets[i].quorum; kind != "" {
		text += " (quorum-type " + kind + ")"
	}
	if len(lost) > 0 {
		text += ": " + strings.Join(lost, ", ")
	}
	return text + "; it recovers by itself when enough bricks are back"
}

// brickTrouble says what keeps a brick from being reachable, or "".
func (v *view) brickTrouble(i int) string {
	b := v.reading.graph.bricks[i]
	state := v.reading.bricks[i]
	switch {
	case !state.connected:
		return "is not connected"
	case v.isUnused(b.translator):
		return "is connected and says that it is down"
	case v.hasHeardNothing(i):
		return "does not answer"
	}
	return ""
}

// age is that of the last answer, where one is waited for.
func (v *view) age() []string {
	if v.isSilent(v.probeAsked) {
		return []string{v.lastAnswer()}
	}
	return nil
}

// hasHeardNothing says whether not one byte came from a brick since the client was asked what it must ask every brick, long enough
// ago. A silent brick stays connected until ping-timeout (42 s).
func (v *view) hasHeardNothing(i int) bool {
	return !v.probeAsked.IsZero() && v.reading.at.Sub(v.probeAsked) >= silentAfter &&
		v.before != nil && v.before.graph == v.reading.graph && v.before.bricks[i].received == v.reading.bricks[i].received
}

// isUnused says whether a replica set leaves this brick alone.
func (v *view) isUnused(translator string) bool {
	for i, s := range v.reading.graph.sets {
		if child := slices.Index(s.children, translator); child >= 0 && v.reading.sets[i].down[child] {
			return true
		}
	}
	return false
}

// diagnoseProbe adds what the client's answers tell beyond the bricks.
func (v *view) diagnoseProbe(r *report) {
	waits := v.isSilent(v.probeAsked)
	switch {
	case waits && v.silent != "" && !r.has(ClusterUnreachable):
		r.add(Inaccessible, ClusterUnreachable, fmt.Sprintf("no server of %s gives a sign of life: %s", v.volume, v.silent), v.lastAnswer())
	case waits && len(r.reasons) == 0:
		r.add(Degraded, ProbeTimeout, fmt.Sprintf("%s: its client waits for an answer", v.volume), v.lastAnswer())
	case v.probeErr == nil || !v.probeAsked.IsZero() || errors.Is(v.probeErr, errGone):
		// All is well, or what the next answer will be is not known yet, or it was unmounted where the driver looks.
	case errors.Is(v.probeErr, unix.ENOTCONN):
		// The process runs, so it is the bricks that are not connected, or were not until a moment ago.
		if !r.has(ClusterUnreachable) && !r.has(QuorumLost) {
			r.add(Inaccessible, QuorumLost, fmt.Sprintf("%s has no quorum or no bricks (%v); it recovers by itself when enough bricks are back", v.volume, v.probeErr))
		}
	default:
		r.add(Degraded, ProbeFailed, fmt.Sprintf("%s: its root directory cannot be read: %v", v.volume, v.probeErr))
	}
}

func (v *view) lastAnswer() string {
	if v.answered.IsZero() {
		return "the last good answer came before the driver was started"
	}
	return "the last good answer came " + rough(v.now.Sub(v.answered)) + " ago"
}

// rough rounds an age more the higher it is: a message that changes with every second would be written to the API server each time.
func rough(age time.Duration) string {
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
