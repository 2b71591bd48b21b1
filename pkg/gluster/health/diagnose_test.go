// SPDX-License-Identifier: Apache-2.0

package health

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
)

var gv0 = gluster.Volume{Cluster: "pi", Name: "gv0"} // as clients.GV0()

// replicas is a view of two replica sets of two bricks and one brick without replica, at 12:00: all well, last good
// answered at once.
func replicas() *view {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	g := &meta.Graph{Name: "g"}
	r := &meta.Reading{At: now, Graph: g}
	for i := range 5 {
		g.Bricks = append(g.Bricks, meta.Brick{Translator: fmt.Sprintf("c%d", i), Host: fmt.Sprintf("h%d", i), Path: "/b"})
		r.Bricks = append(r.Bricks, meta.BrickState{Connected: true, Received: 100})
	}
	g.Sets = []meta.Set{{Translator: "r0", Children: []string{"c0", "c1"}}, {Translator: "r1", Children: []string{"c2", "c3"}}}
	r.Sets = []meta.SetState{{Up: true, Quorum: "auto"}, {Up: true, Quorum: "none"}}
	return &view{volume: gv0, pid: 42, now: now, Observed: probe.Observed{Reading: r, Answered: now}}
}

func (v *view) disconnect(bricks ...int) {
	for _, i := range bricks {
		v.Reading.Bricks[i].Connected = false
	}
}

// unanswered makes the view one with a probe that waits; the given bricks have sent something since.
func (v *view) unanswered(age time.Duration, alive ...int) {
	v.ProbeAsked, v.Answered = v.now.Add(-age), v.now.Add(-age-time.Second)
	v.Before = &meta.Reading{At: v.ProbeAsked, Graph: v.Reading.Graph, Bricks: slices.Clone(v.Reading.Bricks)}
	for _, i := range alive {
		v.Reading.Bricks[i].Received++
	}
}

func TestDiagnosis(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*view)
		want   []string // STATE CODE: words of the message
	}{
		{"all is well", func(*view) {}, nil},
		{"one brick of a set is not connected", func(v *view) { v.disconnect(1) }, []string{"Degraded BrickUnreachable: pi/gv0 h1:/b is not connected"}},
		{"one of each set", func(v *view) { v.disconnect(1, 2) }, []string{"Degraded BrickUnreachable: h1:/b h2:/b"}},
		{"a set says that it has no quorum", func(v *view) { v.disconnect(0); v.Reading.Sets[0].Up = false }, []string{"Inaccessible QuorumLost: r0 quorum-type auto h0:/b"}},
		{"a set without quorum-type has lost all bricks", func(v *view) { v.disconnect(2, 3) }, []string{"Inaccessible QuorumLost: r1 h2:/b h3:/b"}},
		{"one set has lost its quorum, the other a brick", func(v *view) { v.disconnect(0, 1, 2); v.Reading.Sets[0].Up = false },
			[]string{"Inaccessible QuorumLost: r0 h0:/b h1:/b", "Degraded BrickUnreachable: h2:/b"}},
		{"a brick without replica is not connected", func(v *view) { v.disconnect(4) }, []string{"Inaccessible BrickUnreachable: h4:/b no other brick"}},
		{"with and without replica", func(v *view) { v.disconnect(0, 4) }, []string{"Inaccessible BrickUnreachable: h4:/b", "Degraded BrickUnreachable: h0:/b"}},
		{"no brick is connected", func(v *view) { v.disconnect(0, 1, 2, 3, 4) }, []string{"Inaccessible ClusterUnreachable: h0:/b h4:/b last good answer came 0s ago"}},
		{"a connected brick says that it is down", func(v *view) { v.Reading.Sets[1].Down = map[int]bool{0: true} }, []string{"Degraded BrickUnreachable: h2:/b says that it is down"}},
		{"an answer takes a while", func(v *view) { v.unanswered(silentAfter - time.Second) }, nil},
		{"one brick is silent", func(v *view) { v.unanswered(silentAfter, 0, 2, 3, 4) }, []string{"Degraded BrickUnreachable: h1:/b does not answer last good answer came 6s ago"}},
		{"both bricks of a set are silent", func(v *view) { v.unanswered(20*time.Second, 2, 3, 4) },
			[]string{"Inaccessible QuorumLost: r0 h0:/b does not answer h1:/b does not answer enough bricks are back last good answer came 20s ago"}},
		{"a brick without replica is silent", func(v *view) { v.unanswered(20*time.Second, 0, 1, 2, 3) },
			[]string{"Inaccessible BrickUnreachable: h4:/b does not answer no other brick last good answer came 20s ago"}},
		{"all bricks are silent", func(v *view) { v.unanswered(40 * time.Second) }, []string{"Inaccessible ClusterUnreachable: h0:/b h4:/b last good answer came 40s ago"}},
		{"an answer is missing, and every brick has sent something", func(v *view) { v.unanswered(time.Minute, 0, 1, 2, 3, 4) }, []string{"Degraded ProbeTimeout: pi/gv0 last good answer came 1m ago"}},
		{"a silent brick of another graph is not taken for one of this", func(v *view) { v.unanswered(time.Minute); v.Before.Graph = &meta.Graph{} }, []string{"Degraded ProbeTimeout: pi/gv0"}},
		{"the state is older than the question", func(v *view) { v.unanswered(time.Minute); v.Reading.At = v.ProbeAsked }, []string{"Degraded ProbeTimeout: pi/gv0"}},
		{"one brick is silent, and then all servers", func(v *view) { v.unanswered(20*time.Second, 0, 2, 3, 4); v.silent = "h0 (no answer), h1 (no answer)" },
			[]string{"Inaccessible ClusterUnreachable: h0 (no answer) last good answer came 20s ago", "Degraded BrickUnreachable: h1:/b"}},
		{"the client does not tell its state", func(v *view) { v.ReadAsked = v.now.Add(-2 * time.Hour) }, []string{"Inaccessible ClientUnresponsive: pi/gv0 process 42 2h"}},
		{"it was found again and does not answer, its servers do", func(v *view) { v.unanswered(time.Minute); v.Reading, v.Answered = nil, time.Time{} },
			[]string{"Degraded ProbeTimeout: before the driver was started"}},
		{"it was found again, and its servers do not answer either", func(v *view) {
			v.unanswered(time.Minute)
			v.Reading, v.silent = nil, "h0 (no answer)"
		}, []string{"Inaccessible ClusterUnreachable: h0 (no answer)"}},
		{"the client says that it is not connected", func(v *view) { v.ProbeErr = unix.ENOTCONN }, []string{"Inaccessible QuorumLost: pi/gv0 recovers by itself"}},
		{"it says so, and which bricks", func(v *view) { v.ProbeErr = unix.ENOTCONN; v.disconnect(0, 1, 2, 3, 4) }, []string{"Inaccessible ClusterUnreachable: h0:/b"}},
		{"it said so before the answer it is about to give", func(v *view) { v.ProbeErr = unix.ENOTCONN; v.ProbeAsked = v.now }, nil},
		{"the root cannot be read", func(v *view) { v.ProbeErr = unix.EIO }, []string{"Degraded ProbeFailed: pi/gv0 input/output error"}},
		{"it was unmounted by hand", func(v *view) { v.ProbeErr = probe.ErrGone }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := replicas()
			test.change(v)
			var r findings
			v.diagnose(&r)
			if err := expectReasons(r.report(gv0), test.want...); err != nil {
				t.Error(err)
			}
		})
	}
}

// expectReasons compares with lines of the form "STATE CODE: words".
func expectReasons(health Report, want ...string) error {
	var errs []error
	if len(health.Reasons) != len(want) {
		errs = append(errs, fmt.Errorf("%d reasons, want %d", len(health.Reasons), len(want)))
	}
	for i := range min(len(want), len(health.Reasons)) {
		reason := health.Reasons[i]
		head, words, _ := strings.Cut(want[i], ": ")
		if got := fmt.Sprint(reason.State, " ", reason.Code); got != head {
			errs = append(errs, fmt.Errorf("%s, want %s", got, head))
		}
		rest := reason.Message
		for word := range strings.FieldsSeq(words) {
			_, after, found := strings.Cut(rest, word)
			if !found {
				errs = append(errs, fmt.Errorf("the message does not say %q (in this order): %s", words, reason.Message))
				break
			}
			rest = after
		}
		if i == 0 && health.State != reason.State {
			errs = append(errs, fmt.Errorf("the state is %s", health.State))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: %+v", errors.Join(errs...), health)
	}
	return nil
}

func TestClientsOfOneVolumeShareTheirReasons(t *testing.T) {
	var r findings
	first, second := replicas(), replicas()
	first.disconnect(1)
	second.disconnect(1, 2)
	second.now = second.now.Add(time.Hour)
	for _, v := range []*view{first, first, second} {
		v.diagnose(&r)
	}
	health := r.report(gv0)
	if err := expectReasons(health, "Degraded BrickUnreachable: h1:/b h2:/b"); err != nil {
		t.Error(err)
	}
	if strings.Count(health.Reasons[0].Message, "h1:/b") != 1 {
		t.Errorf("it is said twice: %s", health.Reasons[0].Message)
	}
	if len(health.Bricks) != 5 || health.Bricks[2].Connected || !health.Bricks[3].Connected || health.Age != time.Hour {
		t.Errorf("bricks %+v, age %s", health.Bricks, health.Age)
	}
}

func TestClientsThatHaveAskedAtOtherTimesSayItOnce(t *testing.T) {
	var r findings
	for _, age := range []time.Duration{20 * time.Second, 10 * time.Second} {
		v := replicas()
		v.unanswered(age, 0, 2, 3, 4)
		v.diagnose(&r)
	}
	const want = "pi/gv0: brick h1:/b does not answer; the last good answer came 20s ago" // the first client's
	if health := r.report(gv0); len(health.Reasons) != 1 || health.Reasons[0].Message != want {
		t.Errorf("%+v, want %q", health.Reasons, want)
	}
}

func TestAnAgeIsSaidOnce(t *testing.T) {
	var r findings
	v := replicas()
	v.unanswered(20*time.Second, 0, 2, 4)
	v.diagnose(&r)
	const want = "pi/gv0: brick h1:/b does not answer; the last good answer came 20s ago; pi/gv0: brick h3:/b does not answer"
	if health := r.report(gv0); len(health.Reasons) != 1 || health.Reasons[0].Message != want {
		t.Errorf("%+v, want %q", health.Reasons, want)
	}
}

func TestAgesAreRoundedMoreTheHigherTheyAre(t *testing.T) {
	for age, want := range map[time.Duration]string{
		0: "0s", 9900 * time.Millisecond: "9s", 10 * time.Second: "10s", 59 * time.Second: "50s", 90 * time.Second: "1m",
		10 * time.Minute: "10m", 50 * time.Hour: "50h",
	} {
		if got := roundedAge(age); got != want {
			t.Errorf("%s became %s, want %s", age, got, want)
		}
	}
}
