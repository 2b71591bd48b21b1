// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// condition is an entry of either health RPC: "DEGRADED BrickUnreachable", and its message.
type condition struct{ head, message string }

// volumeHealth is what NodeGetVolumeHealth says within a second.
func (r *rig) volumeHealth(volumeID, path string) []condition {
	r.t.Helper()
	var conditions []condition
	r.withinASecond(func(ctx context.Context) error {
		conditions = nil
		response, err := r.node.NodeGetVolumeHealth(ctx, &csi.NodeGetVolumeHealthRequest{VolumeId: volumeID, VolumePublishPath: path})
		if isUnknown(err) {
			conditions = []condition{{"unknown", err.Error()}}
			return nil
		}
		if got := response.GetVolumeHealth().GetVolumeId(); err == nil && got != volumeID {
			r.t.Errorf("the health of %q is that of %q", volumeID, got)
		}
		for _, entry := range response.GetVolumeHealth().GetHealthStatuses() {
			conditions = append(conditions, condition{fmt.Sprint(entry.GetStatus(), " ", entry.GetReason()), entry.GetMessage()})
		}
		return err
	})
	r.onceEach(conditions)
	return conditions
}

// storageHealth is what NodeGetStorageHealth says within a second.
func (r *rig) storageHealth() []condition {
	r.t.Helper()
	var conditions []condition
	r.withinASecond(func(ctx context.Context) error {
		conditions = nil
		response, err := r.node.NodeGetStorageHealth(ctx, &csi.NodeGetStorageHealthRequest{})
		if isUnknown(err) {
			conditions = []condition{{"unknown", err.Error()}}
			return nil
		}
		for _, entry := range response.GetBackendHealth() {
			conditions = append(conditions, condition{fmt.Sprint(entry.GetStatus(), " ", entry.GetReason()), entry.GetMessage()})
		}
		return err
	})
	r.onceEach(conditions)
	return conditions
}

// isUnknown says whether health is not known yet, as for a moment after the start of the node plugin.
func isUnknown(err error) bool {
	return status.Code(err) == codes.Unavailable && strings.Contains(status.Convert(err).Message(), "is not known yet")
}

// withinASecond makes a call that takes less than a second. One that takes longer is made again: the machine may stand still for a moment, and what
// waits for GlusterFS takes as long each time.
func (r *rig) withinASecond(call func(context.Context) error) {
	r.t.Helper()
	testcluster.Eventually(r.t, patience, func() error {
		ctx, cancel := r.context()
		defer cancel()
		began := time.Now()
		if err := call(ctx); err != nil {
			r.t.Error(err)
		}
		if took := time.Since(began); took > time.Second {
			return fmt.Errorf("it took %v", took)
		}
		return nil
	})
}

// onceEach checks what the CSI spec demands of a list.
func (r *rig) onceEach(conditions []condition) {
	r.t.Helper()
	seen := map[string]bool{}
	for _, c := range conditions {
		if seen[c.head] {
			r.t.Errorf("%s is there twice: %v", c.head, conditions)
		}
		seen[c.head] = true
	}
}

// shows compares with lines of the form "STATUS Reason: words".
func shows(conditions []condition, want ...string) error {
	if len(conditions) != len(want) {
		return fmt.Errorf("it is %q, want %q", conditions, want)
	}
	for i, line := range want {
		head, words, _ := strings.Cut(line, ": ")
		if conditions[i].head != head {
			return fmt.Errorf("it is %q, want %q", conditions, want)
		}
		for word := range strings.FieldsSeq(words) {
			if !strings.Contains(conditions[i].message, word) {
				return fmt.Errorf("it does not say %q: %q", word, conditions)
			}
		}
	}
	return nil
}

// healthComesTo waits until both RPCs show these conditions of a volume, by its ID alone and at its target.
func (r *rig) healthComesTo(v *csi.Volume, target string, want ...string) {
	r.t.Helper()
	began := time.Now()
	storage := strings.NewReplacer("INACCESSIBLE ClientDead", "STORAGE_DEGRADED ClientDead", "INACCESSIBLE", "STORAGE_UNREACHABLE", "DEGRADED", "STORAGE_DEGRADED")
	var wantStorage []string
	for _, line := range want {
		wantStorage = append(wantStorage, storage.Replace(line))
	}
	testcluster.Eventually(r.t, patience, func() error {
		return errors.Join(shows(r.volumeHealth(v.GetVolumeId(), ""), want...), shows(r.volumeHealth(v.GetVolumeId(), target), want...), shows(r.storageHealth(), wantStorage...))
	})
	r.t.Logf("after %v: %v", time.Since(began).Round(time.Millisecond), r.volumeHealth(v.GetVolumeId(), ""))
}

func TestHealthNamesTheBrickThatDied(t *testing.T) {
	c, volume := ownVolume(t, testcluster.VolumeOptions{Replica: 3})
	r := serve(t, clustersYAML(c.Servers(), volume))
	v := r.create()
	pod := r.publish(v, "pod")
	pid := r.pid()
	brick := func(i int) string { return c.Servers()[i%len(c.Servers())] + ":" + c.BrickPath(volume, i) }
	r.healthComesTo(v, pod)
	if err := c.KillBrick(volume, 1); err != nil {
		t.Fatal(err)
	}
	r.healthComesTo(v, pod, "DEGRADED BrickUnreachable: "+volume+" "+brick(1))
	if err := c.KillBrick(volume, 2); err != nil {
		t.Fatal(err)
	}
	r.healthComesTo(v, pod, "INACCESSIBLE QuorumLost: "+volume+" "+brick(1)+" "+brick(2))
	if err := c.StartBrick(volume, 1); err != nil {
		t.Fatal(err)
	}
	r.healthComesTo(v, pod)
	if r.pid() != pid {
		t.Error("the client was replaced")
	}
	r.unpublish(v, pod)
	code(t, r.delete(v), codes.OK)
}

func TestHealthNeedsAVolumeID(t *testing.T) {
	r := onGV0(t)
	for id, want := range map[string]codes.Code{"": codes.InvalidArgument, "no volume of ours": codes.NotFound} {
		ctx, cancel := r.context()
		_, err := r.node.NodeGetVolumeHealth(ctx, &csi.NodeGetVolumeHealthRequest{VolumeId: id})
		cancel()
		code(t, err, want)
	}
	if got := r.volumeHealth("pi/gv0/never-published", "/nothing/here"); len(got) > 0 {
		t.Errorf("a volume that nobody uses: %q", got)
	}
}

func TestHealthIsNotKnownBeforeAnythingIsRead(t *testing.T) {
	r := serve(t, "")
	ctx, cancel := r.context()
	defer cancel()
	if _, err := r.identity.Probe(ctx, &csi.ProbeRequest{}); err != nil { // it serves: the next call is measured
		t.Fatal(err)
	}
	err := shows(r.volumeHealth("pi/gv0/pvc-1", ""), "unknown: pi/gv0 not known yet")
	if err != nil {
		t.Error(err)
	}
	r.setClusters(clustersYAML(healthy(t).Servers(), "gv0"))
	testcluster.Eventually(t, patience, func() error { return errors.Join(shows(r.volumeHealth("pi/gv0/pvc-1", "")), shows(r.storageHealth())) })
}

func TestHealthUnderSilentServers(t *testing.T) {
	c := faulty(t)
	r := serve(t, clustersYAML(c.Servers(), "gv1"))
	v := r.create()
	pod, leaving, dying := r.publish(v, "pod"), r.publish(v, "leaving"), r.publish(v, "dying")
	r.healthComesTo(v, pod)
	resume := func() {
		for i := range c.Servers() {
			if err := c.ContinueServer(i); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(resume)
	brick := func(i int) string { return c.Servers()[i] + ":" + c.BrickPath("gv1", i) }
	answersAtOnce := func(target string) {
		t.Helper()
		r.withinASecond(func(ctx context.Context) error {
			response, err := r.identity.Probe(ctx, &csi.ProbeRequest{})
			if err == nil && !response.GetReady().GetValue() {
				err = errors.New("the driver is not ready")
			}
			return err
		})
		r.unpublish(v, target) // where it waited for servers, its deadline would be over first
	}

	if err := c.StopServer(1); err != nil {
		t.Fatal(err)
	}
	degraded := "DEGRADED BrickUnreachable: " + brick(1) + " ago"
	r.healthComesTo(v, pod, degraded)
	answersAtOnce(leaving)
	if err := c.StopServer(0); err != nil {
		t.Fatal(err)
	}
	r.healthComesTo(v, pod, "INACCESSIBLE ClusterUnreachable: gv1 "+c.Servers()[0]+" "+c.Servers()[1]+" ago", degraded)
	answersAtOnce(dying)
	before := runtime.NumGoroutine()
	const calls = 300
	for range calls {
		r.volumeHealth(v.GetVolumeId(), pod)
		r.storageHealth()
	}
	if after := runtime.NumGoroutine(); after > before+5 { // the servers are asked for a sign of life now and then
		t.Errorf("%d goroutines became %d", before, after)
	}
	resume()
	r.healthComesTo(v, pod)
	r.unpublish(v, pod)
	code(t, r.delete(v), codes.OK)
}

func TestHealthOfADeadClient(t *testing.T) {
	c := faulty(t)
	r := serve(t, clustersYAML(c.Servers(), "gv1"))
	v := r.create()
	pod := r.publish(v, "pod")
	r.healthComesTo(v, pod)
	pid := r.pid()
	for i := range c.Servers() { // so that there is no new client at once
		if err := c.StopServer(i); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.ContinueServer(i) })
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, patience, func() error {
		for _, conditions := range [][]condition{r.volumeHealth(v.GetVolumeId(), ""), r.volumeHealth(v.GetVolumeId(), pod)} {
			if !slices.ContainsFunc(conditions, func(c condition) bool { return c.head == "INACCESSIBLE ClientDead" }) {
				return fmt.Errorf("%q", conditions)
			}
		}
		return nil
	})
	for i := range c.Servers() {
		if err := c.ContinueServer(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.tryPublish(v, pod); err != nil { // as kubelet does
		t.Fatal(err)
	}
	r.healthComesTo(v, pod)
	r.unpublish(v, pod)
	code(t, r.delete(v), codes.OK)
}
