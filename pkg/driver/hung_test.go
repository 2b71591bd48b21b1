// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// hungTime is 5 minutes in `make hung`, which is well beyond ping-timeout.
var hungTime = flag.Duration("hung.time", 20*time.Second, "how long calls are repeated while every server hangs")

// census is what one driver process had of something that piles up, at one moment after the other.
type census struct{ goroutines, threads, files []int }

var goroutinesLine = regexp.MustCompile(`(?m)^go_goroutines ([0-9]+)$`)

// count adds what a process has now. log is where it says its monitor's address.
func (c *census) count(pid int, log fmt.Stringer) error {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return err
	}
	addresses := monitorAddress.FindAllStringSubmatch(log.String(), -1)
	if len(addresses) == 0 {
		return errors.New("its monitor is not served")
	}
	response, err := http.Get("http://" + addresses[len(addresses)-1][1] + "/metrics")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	line := goroutinesLine.FindSubmatch(metrics)
	if line == nil {
		return errors.New("no go_goroutines")
	}
	goroutines, err := strconv.Atoi(string(line[1]))
	c.goroutines, c.threads, c.files = append(c.goroutines, goroutines), append(c.threads, len(threads)), append(c.files, len(files))
	return err
}

// flat says whether the last third of the numbers is no higher than the second.
func flat(what string, numbers []int) error {
	const slack = 10 // what calls under way differ by
	third := len(numbers) / 3
	second, last := highest(numbers[third:2*third]), highest(numbers[2*third:])
	if last > second+slack {
		return fmt.Errorf("%d %s became %d: %v", second, what, last, numbers)
	}
	return nil
}

func highest(numbers []int) int {
	most := 0
	for _, n := range numbers {
		most = max(most, n)
	}
	return most
}

// retried are the calls that kubelet and the provisioner repeat, each in a loop of its own. A mode's services are there or not.
func (r *rig) retried(v *csi.Volume, pod string) map[string]func(context.Context) error {
	publish := func(name string, change ...how) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := r.node.NodePublishVolume(ctx, publishRequest(v, r.target(name), change...))
			return err
		}
	}
	calls := map[string]func(context.Context) error{
		"publish": publish("late"), "publish with a new client": publish("acl", as(manyWriters, "acl")),
		"stats": func(ctx context.Context) error {
			_, err := r.node.NodeGetVolumeStats(ctx, statsRequest(v, pod))
			return err
		},
		"create": func(ctx context.Context) error {
			_, err := r.controller.CreateVolume(ctx, request(nameOf(v)))
			return err
		},
	}
	for _, name := range []string{"a", "b", "c", "d"} { // kubelet asks for each pod
		calls["stats "+name], calls["publish "+name] = calls["stats"], publish(name)
	}
	return calls
}

// answered are calls that are answered at once whatever hangs.
func (r *rig) answered(v *csi.Volume, pod string) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"volume health": func(ctx context.Context) error {
			_, err := r.node.NodeGetVolumeHealth(ctx, &csi.NodeGetVolumeHealthRequest{VolumeId: v.GetVolumeId(), VolumePublishPath: pod})
			return err
		},
		"storage health": func(ctx context.Context) error {
			_, err := r.node.NodeGetStorageHealth(ctx, &csi.NodeGetStorageHealthRequest{})
			return err
		},
		"unpublish": func(ctx context.Context) error {
			_, err := r.node.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: v.GetVolumeId(), TargetPath: r.target("gone")})
			return err
		},
	}
}

// repeat makes a call again and again until ctx is done. check judges each answer, and the time it took.
func repeat(ctx context.Context, t *testing.T, name string, call func(context.Context) error, check func(error, time.Duration) error) {
	const limit = 2 * time.Second // the caller's deadline
	_ = testcluster.Poll(ctx, func() error {
		callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		began := time.Now()
		err := call(callCtx)
		if err := check(err, time.Since(began)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return errors.New("again")
	})
}

func failsInTime(err error, took time.Duration) error {
	const late = 3 * time.Second
	switch got := status.Code(err); {
	case took > late:
		return fmt.Errorf("it took %v", took)
	case got != codes.Unavailable && got != codes.DeadlineExceeded && got != codes.Aborted && got != codes.OK: // OK: an answer counts for a second
		return fmt.Errorf("unexpected: %w", err)
	}
	return nil
}

func answersInTime(err error, took time.Duration) error {
	if err != nil { // the caller's deadline among them
		return fmt.Errorf("after %v: %w", took, err)
	}
	return nil
}

func TestNothingPilesUpWhileEveryServerHangs(t *testing.T) {
	c := faulty(t)
	clusters := clustersYAML(c.Servers(), "gv1")
	p := servePods(t, clusters) // a node plugin with a mounter
	dir := newDir(t)
	write(t, dir+"/clusters.yaml", clusters)
	whole, process := serveChild(t, dir) // and everything in one process
	t.Cleanup(func() { p.kill(process) })
	type subject struct {
		census

		name string
		pid  int
		log  *lockedBuffer
	}
	subjects := []*subject{
		{name: "node plugin", pid: p.nodeProcess.Process.Pid, log: p.log},
		{name: "mounter", pid: p.mounterProcess.Process.Pid, log: p.mounterLog},
		{name: "driver in one process", pid: process.Process.Pid, log: whole.log},
	}
	resume := func() {
		for i := range c.Servers() {
			if err := c.ContinueServer(i); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(resume)
	v := whole.create()
	rigs := map[*rig]string{p.rig: p.publish(v, "pod"), whole: whole.publish(v, "pod")}
	for i := range c.Servers() {
		if err := c.StopServer(i); err != nil {
			t.Fatal(err)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), *hungTime)
	defer cancel()
	var callers sync.WaitGroup
	for r, pod := range rigs {
		for name, call := range r.retried(v, pod) {
			callers.Go(func() { repeat(ctx, t, name, call, failsInTime) })
		}
		for name, call := range r.answered(v, pod) {
			callers.Go(func() { repeat(ctx, t, name, call, answersInTime) })
		}
	}
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		<-ticker.C
		for _, s := range subjects {
			if err := s.count(s.pid, s.log); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
		}
	}
	callers.Wait()
	for _, s := range subjects {
		t.Logf("%s: at most %d goroutines, %d threads, %d open files in %v", s.name, highest(s.goroutines), highest(s.threads), highest(s.files), *hungTime)
		if err := errors.Join(flat("goroutines", s.goroutines), flat("threads", s.threads), flat("open files", s.files)); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
	resume()
	for r, pod := range rigs {
		r.healthComesTo(v, pod)
		for _, name := range []string{"late", "acl", "a", "b", "c", "d"} {
			testcluster.Eventually(t, patience, func() error { return r.tryUnpublish(v, r.target(name)) })
		}
		testcluster.Eventually(t, patience, func() error { return r.tryPublish(v, r.target("late")) })
		r.unpublish(v, pod, r.target("late"))
	}
	code(t, whole.delete(v), codes.OK)
}
