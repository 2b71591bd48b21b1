// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

// shared is a Host of the cluster that all tests share, and its Observer.
func shared(t *testing.T) (*client.Host, *Observer) {
	t.Helper()
	clusters := clients.ClustersFile(t, testcluster.Shared(t, testcluster.Options{}).Servers())
	h := clients.NewHost(t, clusters)
	return h, New(h, clusters, settings.New(clusters), nil)
}

// do fails the test at the first error.
func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// twoIntervals is how long a fault may take to be seen by those who are not asking.
const twoIntervals = 2 * healthInterval

// look is Volume, which must return within a second. Where it takes longer it is called again: the machine may stand still for a moment, and what
// waits for GlusterFS takes as long each time.
func look(t *testing.T, o *Observer, v gluster.Volume) (got Report) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clients.Patience)
	defer cancel()
	err := testcluster.Poll(ctx, func() error {
		began := time.Now()
		got = o.Volume(t.Context(), v)
		if took := time.Since(began); took > time.Second {
			return fmt.Errorf("it took %v", took)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return got
}

// becomes waits until Volume has these reasons; see expectReasons.
func becomes(t *testing.T, o *Observer, v gluster.Volume, want ...string) Report {
	t.Helper()
	var got Report
	began := time.Now()
	testcluster.Eventually(t, clients.Patience, func() error {
		got = look(t, o, v)
		return expectReasons(got, want...)
	})
	t.Logf("after %v: %+v", time.Since(began).Round(time.Millisecond), got.Reasons)
	return got
}

// at is how a message names brick i of gv0.
func at(c *testcluster.Cluster, i int) string {
	return c.Servers()[i] + ":" + c.BrickPath("gv0", i)
}

// endsAClient has a client end whenever it is asked which are running.
type endsAClient struct {
	host

	end func()
}

func (h endsAClient) Running() []*client.Client {
	all := h.host.Running()
	h.end()
	return all
}

// Dead is that of a moment before the end is seen.
func (h endsAClient) Dead([]mount.Entry) []client.Dead { return nil }

func TestAClientThatEndsWhileItIsAskedIsDead(t *testing.T) {
	h, o := shared(t)
	c := clients.Ensure(t, h, gv0)
	o.host = endsAClient{h, func() {
		if !c.HasEnded() {
			clients.Kill(t, c)
		}
	}}
	if err := expectReasons(o.Mount(t.Context(), gv0, Place{Device: c.Device()}), "Inaccessible ClientDead: pi/gv0"); err != nil {
		t.Error(err)
	}
	clients.Ensure(t, h, gv0) // looks what the dead one has left
}

func TestBricksThatDieAreNamedUntilTheyReturn(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{Replica: 3})
	clusters := clients.ClustersFile(t, c.Servers())
	h := clients.NewHost(t, clusters)
	o := New(h, clusters, settings.New(clusters), nil)
	mounted := clients.Ensure(t, h, gv0)
	well := becomes(t, o, gv0)
	if len(well.Bricks) != 3 || !well.Bricks[0].Connected || well.Bricks[2] != (Brick{c.Servers()[2], c.BrickPath("gv0", 2), true}) || well.Age > time.Second {
		t.Errorf("a well volume: %+v", well)
	}
	do(t, c.KillBrick("gv0", 1))
	degraded := becomes(t, o, gv0, "Degraded BrickUnreachable: pi/gv0 "+at(c, 1)+" not connected")
	if degraded.Bricks[1].Connected || !degraded.Bricks[0].Connected {
		t.Errorf("bricks %+v", degraded.Bricks)
	}
	clients.CheckWorks(t, mounted)
	do(t, c.KillBrick("gv0", 2))
	becomes(t, o, gv0, "Inaccessible QuorumLost: pi/gv0 gv0-replicate-0 auto "+at(c, 1)+" "+at(c, 2))
	if mounted.HasEnded() {
		t.Error("the client was ended")
	}
	do(t, c.KillBrick("gv0", 0))
	becomes(t, o, gv0, "Inaccessible ClusterUnreachable: "+at(c, 0)+" "+at(c, 1)+" "+at(c, 2)+" last good answer")
	do(t, c.StartBrick("gv0", 0))
	becomes(t, o, gv0)
	clients.CheckWorks(t, mounted)
}

func TestAChangedGraphIsFollowed(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{Replica: 3})
	clusters := clients.ClustersFile(t, c.Servers())
	h := clients.NewHost(t, clusters)
	o := New(h, clusters, settings.New(clusters), nil)
	mounted := clients.Ensure(t, h, gv0)
	becomes(t, o, gv0)
	graph := func() (name string) {
		if r := mounted.Observed().Reading; r != nil { // it may not have come yet
			name = r.Graph.Name
		}
		return name
	}
	var first string
	testcluster.Eventually(t, clients.Patience, func() error {
		if first = graph(); first == "" {
			becomes(t, o, gv0)
			return errors.New("its graph is not known")
		}
		return nil
	})

	do(t, c.SetOption("gv0", "performance.write-behind", "off"))
	testcluster.Eventually(t, clients.Patience, func() error {
		becomes(t, o, gv0)
		if now := graph(); now == first || now == "" {
			return fmt.Errorf("its graph is %q, as it was", now)
		}
		return nil
	})
	moved := c.BrickPath("gv0", 2) + "-moved"
	replace := []string{"volume", "replace-brick", "gv0", at(c, 2), c.Servers()[2] + ":" + moved, "commit", "force"}
	if _, err := c.Gluster(replace...); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, clients.Patience, func() error {
		if got := becomes(t, o, gv0); len(got.Bricks) != 3 || got.Bricks[2].Path != moved {
			return fmt.Errorf("bricks %+v, want one at %s", got.Bricks, moved)
		}
		return nil
	})
	if _, err := c.Gluster("volume", "remove-brick", "gv0", "replica", "2", c.Servers()[2]+":"+moved, "force"); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, clients.Patience, func() error {
		if got := becomes(t, o, gv0); len(got.Bricks) != 2 {
			return fmt.Errorf("bricks %+v, want two", got.Bricks)
		}
		return nil
	})
	do(t, c.KillBrick("gv0", 1))
	becomes(t, o, gv0, "Degraded BrickUnreachable: "+at(c, 1))
	if _, err := c.Gluster("volume", "start", "gv0", "force"); err != nil {
		t.Fatal(err)
	}
	becomes(t, o, gv0)
	clients.CheckWorks(t, mounted)
}

func TestSilentServersAreToldFromOneAnother(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	clusters := clients.ClustersFile(t, c.Servers())
	dir := t.TempDir()
	h := clients.HostIn(t, dir, clusters)
	o := New(h, clusters, settings.New(clusters), nil)
	mounted := clients.Ensure(t, h, gv0)
	becomes(t, o, gv0)

	do(t, c.StopServer(1))
	becomes(t, o, gv0, "Degraded BrickUnreachable: pi/gv0 "+at(c, 1)+" does not answer last good answer came s ago")
	do(t, c.StopServer(0))
	becomes(t, o, gv0, "Inaccessible ClusterUnreachable: pi/gv0 "+c.Servers()[0]+" (no answer) "+c.Servers()[1]+" (no answer) last good answer came 0s ago",
		"Degraded BrickUnreachable: "+at(c, 1))
	later, err := client.NewHost(dir, clusters) // as after a restart of the driver
	if err != nil {
		t.Fatal(err)
	}
	becomes(t, New(later, clusters, settings.New(clusters), nil), gv0, "Inaccessible ClusterUnreachable: pi/gv0 "+c.Servers()[0]+" (no answer) "+c.Servers()[1]+" (no answer) before the driver was started")
	later.Close()
	do(t, c.ContinueServer(0), c.ContinueServer(1))
	becomes(t, o, gv0)

	do(t, c.StopServer(0), c.StopServer(1))
	becomes(t, o, gv0, "Inaccessible ClusterUnreachable: "+at(c, 0)+" does not answer "+at(c, 1)+" does not answer last good answer came s ago")
	before := runtime.NumGoroutine()
	const rounds, callers = 20, 20
	for range rounds {
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				if got := look(t, o, gv0); got.State != Inaccessible {
					t.Errorf("%+v", got)
				}
			})
		}
		group.Wait()
	}
	if after := runtime.NumGoroutine(); after > before+2 {
		t.Errorf("%d goroutines became %d", before, after)
	}
	do(t, c.ContinueServer(0), c.ContinueServer(1))
	becomes(t, o, gv0)
	clients.CheckWorks(t, mounted)
}

func TestADeadClientIsToldFromALostQuorum(t *testing.T) {
	h, o := shared(t)
	mounted := clients.Ensure(t, h, gv0)
	clients.Bind(t, mounted, "/", 0)
	other := clients.Ensure(t, h, gv0, "acl")
	becomes(t, o, gv0)
	clients.Signal(t, mounted, unix.SIGKILL)
	becomes(t, o, gv0, "Inaccessible ClientDead: pi/gv0 mounts (1)")
	if err := expectReasons(o.Mount(t.Context(), gv0, Place{Device: mounted.Device()}), "Inaccessible ClientDead: pi/gv0"); err != nil {
		t.Error(err)
	}
	if err := expectReasons(o.Mount(t.Context(), gv0, Place{Device: other.Device()})); err != nil {
		t.Errorf("a mount of another client: %v", err)
	}
}

func TestAClientThatIsStoppedItselfIsReported(t *testing.T) {
	h, o := shared(t)
	mounted := clients.Ensure(t, h, gv0)
	becomes(t, o, gv0)
	clients.Signal(t, mounted, unix.SIGSTOP)
	defer clients.Signal(t, mounted, unix.SIGCONT)
	becomes(t, o, gv0, "Inaccessible ClientUnresponsive: pi/gv0 process s")
	clients.Signal(t, mounted, unix.SIGCONT)
	becomes(t, o, gv0)
}

func TestWithoutAClientTheServersAreAsked(t *testing.T) {
	c := testcluster.Shared(t, testcluster.Options{})
	for _, test := range []struct {
		name    string
		servers []string
		want    []string
	}{
		{"all answer", c.Servers(), nil},
		{"one answers", []string{c.Neighbour(220), c.Servers()[0]}, nil},
		{"all refuse", []string{c.Neighbour(220), c.Neighbour(221)}, []string{"Inaccessible ClusterUnreachable: pi/gv0 " + c.Neighbour(220) + " (connection refused) " + c.Neighbour(221)}},
		{"one is silent and one refuses", []string{testcluster.SilentServer(t, c.Neighbour(222)), c.Neighbour(220)}, []string{"Inaccessible ClusterUnreachable: (no answer) refused"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			clusters := clients.ClustersFile(t, test.servers)
			o := New(clients.NewHost(t, clusters), clusters, settings.New(clusters), nil)
			becomes(t, o, gv0, test.want...)
			testcluster.Eventually(t, clients.Patience, func() error {
				all := o.All(t.Context())
				if len(all) != 1 || all[0].Volume != gv0 {
					return fmt.Errorf("All is %+v", all)
				}
				return expectReasons(all[0], test.want...)
			})
			if got := look(t, o, gluster.Volume{Cluster: "other", Name: "gv0"}); got.State != Unknown {
				t.Errorf("a volume that nobody knows: %+v", got)
			}
		})
	}
}

func TestChangesAreLoggedOnceAndCounted(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{})
	clusters := clients.ClustersFile(t, c.Servers())
	h := clients.NewHost(t, clusters)
	o := New(h, clusters, settings.New(clusters), nil)
	clients.Ensure(t, h, gv0)
	log := &lockedLog{}
	ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(log)))))
	var running sync.WaitGroup
	running.Go(func() { o.Watch(ctx) })
	defer func() { cancel(); running.Wait() }()

	shows := func(connected, state float64) {
		t.Helper()
		began := time.Now()
		testcluster.Eventually(t, twoIntervals, func() error {
			b := gauge(t, o.gauges.brickConnected, testcluster.Name, "gv0", c.Servers()[1], c.BrickPath("gv0", 1))
			if v := gauge(t, o.gauges.volumeHealth, testcluster.Name, "gv0"); v != state || b != connected {
				return fmt.Errorf("the metrics say connected %v, health %v", b, v)
			}
			return nil
		})
		t.Logf("after %v", time.Since(began).Round(time.Millisecond))
	}
	shows(1, 0)
	if text := log.String(); strings.Contains(text, "health") {
		t.Errorf("a volume that is well from the start is no news:\n%s", text)
	}
	do(t, c.KillBrick("gv0", 1))
	shows(0, 1)
	o.look(ctx)
	do(t, c.StartBrick("gv0", 1))
	shows(1, 0)
	text := log.String()
	for _, line := range []string{`reason="BrickUnreachable"`, "healthy again"} {
		if strings.Count(text, line) != 1 {
			t.Errorf("the log does not say %q once:\n%s", line, text)
		}
	}
	cancel()
	running.Wait()
	if n := series(o.gauges.brickConnected) + series(o.gauges.volumeHealth); n != 0 {
		t.Errorf("%d series are left without a Host", n)
	}
}

func gauge(t *testing.T, vector *prometheus.GaugeVec, labels ...string) float64 {
	t.Helper()
	var metric dto.Metric
	do(t, vector.WithLabelValues(labels...).Write(&metric))
	return metric.GetGauge().GetValue()
}

func series(vector *prometheus.GaugeVec) int {
	found := make(chan prometheus.Metric)
	go func() { defer close(found); vector.Collect(found) }()
	n := 0
	for range found {
		n++
	}
	return n
}

// lockedLog is a log that is written and read at once.
type lockedLog struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}
