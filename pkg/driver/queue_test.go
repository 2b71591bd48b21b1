// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func atMost(operations int) func(*Options) {
	return func(o *Options) { o.MaxOperations = operations }
}

// files makes so many files at a target, with one request for each, where to create and open them takes three.
func files(t *testing.T, target string, n int) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error { return unix.Mknod(filepath.Join(target, fmt.Sprint("f", i)), unix.S_IFREG|0o600, 0) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// More grants than there are permits, and more calls of the volumes that are being granted: none of them is in the way
// of the calls of other volumes.
func TestLongGrantsHoldUpNoCall(t *testing.T) {
	const grants, waiting, calls = 3, 20, 3
	c, name := ownVolume(t, testcluster.VolumeOptions{}) // what is on gv0, other tests walk through
	r := serve(t, clustersYAML(c.Servers(), name), atMost(2))
	var volumes []*csi.Volume
	var pods []string
	for i := range grants {
		v := r.create()
		volumes, pods = append(volumes, v), append(pods, r.publish(v, fmt.Sprint("writer", i)))
		files(t, pods[i], 1000)
	}
	granted := make(chan error, grants+waiting)
	publish := func(v *csi.Volume, target string, limit time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		granted <- r.publishes(v, target, group("2001"))(ctx)
	}
	for i, v := range volumes {
		testcluster.Eventually(t, patience, func() error { // it goes on, and nobody waits for it
			publish(v, fmt.Sprint("granted", i), 200*time.Millisecond)
			if err := <-granted; status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "being granted") {
				return fmt.Errorf("want Aborted, being granted, got %w", err)
			}
			return nil
		})
	}
	for range waiting {
		go publish(volumes[0], "granted0", patience)
	}
	for range calls {
		v := r.create()
		code(t, errors.Join(r.gets(v)(t.Context()), r.delete(v)), codes.OK)
	}
	if n := r.permits.Counts()[gluster.Volume{Cluster: testcluster.Name, Name: name}]; n.Running+n.Waiting < grants {
		t.Errorf("the calls ended when of %d grants %+v were under way", grants, n)
	}
	for range waiting {
		code(t, <-granted, codes.OK)
	}
	for i, v := range volumes {
		code(t, repeated(func() error { return r.tryPublish(v, r.target(fmt.Sprint("granted", i)), group("2001")) }), codes.OK)
		r.unpublish(v, pods[i], r.target(fmt.Sprint("granted", i)))
		code(t, r.delete(v), codes.OK)
	}
}

func TestManyDeletionsOfWhatIsDeletedEnd(t *testing.T) {
	const permits, calls = 2, 8
	r := serve(t, clustersYAML(healthy(t).Servers(), "gv0"), atMost(permits))
	kept := r.create() // there is a record to read
	var volumes [calls]*csi.Volume
	for i := range volumes {
		volumes[i] = r.create()
		code(t, r.delete(volumes[i]), codes.OK)
	}
	var group errgroup.Group
	for _, v := range volumes {
		group.Go(func() error { return r.delete(v) })
	}
	code(t, group.Wait(), codes.OK)
	code(t, r.delete(kept), codes.OK)
}

// hanging is a driver with gv0, and with gv1 of servers that are stopped: all that can be begun there is under way and does
// not end, before resume is called. answers are those of more calls than that.
type hanging struct {
	*rig

	volume  gluster.Volume
	asked   []string         // the names of all volumes that were to be made on it
	answers map[string]error // by the name of the volume that was to be made
}

func (h *hanging) resume() {
	for i := range faulty(h.t).Servers() {
		if err := faulty(h.t).ContinueServer(i); err != nil {
			h.t.Error(err)
		}
	}
}

// has returns an error if the Gluster volume that hangs has other counts.
func (h *hanging) has(want permits.Count) error {
	if n := h.permits.Counts()[h.volume]; n != want {
		return fmt.Errorf("%s has %+v, want %+v", h.volume, n, want)
	}
	return nil
}

// make has a volume made on it.
func (h *hanging) make(name string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(h.t.Context(), limit)
	defer cancel()
	_, err := h.controller.CreateVolume(ctx, request(name, "cluster", h.volume.Cluster))
	return err
}

// hang makes so many calls of which as many are begun as can be.
func hang(t *testing.T, begun, calls int, change ...func(*Options)) *hanging {
	t.Helper()
	second := strings.TrimPrefix(clustersYAML(faulty(t).Servers(), "gv1"), "clusters:\n")
	second = strings.Replace(second, testcluster.Name, "other", 1)
	h := &hanging{volume: gluster.Volume{Cluster: "other", Name: "gv1"}}
	h.rig = serve(t, clustersYAML(healthy(t).Servers(), "gv0")+second, change...)
	t.Cleanup(h.resume)
	// A call is begun while the last answer is fresh: on a busy machine it may not be so any more.
	testcluster.Eventually(t, 2*time.Minute, func() error {
		h.resume()
		h.asked = append(h.asked, newName())
		if err := errors.Join(h.has(permits.Count{}), h.make(h.asked[len(h.asked)-1], patience)); err != nil {
			return err
		}
		for i := range faulty(t).Servers() {
			if err := faulty(t).StopServer(i); err != nil {
				t.Fatal(err)
			}
		}
		h.answers = map[string]error{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for range calls {
			name := newName()
			h.asked = append(h.asked, name)
			all.Go(func() {
				err := h.make(name, 2*time.Second)
				mu.Lock()
				defer mu.Unlock()
				h.answers[name] = err
			})
		}
		all.Wait()
		isBegun := func(err error) bool { return status.Code(err) == codes.DeadlineExceeded }
		if !slices.ContainsFunc(slices.Collect(maps.Values(h.answers)), isBegun) { // the driver's own looks have come first
			return fmt.Errorf("none of the calls was begun: %v", h.answers)
		}
		return h.has(permits.Count{Running: begun})
	})
	return h
}

func TestAGlusterVolumeThatHangsHoldsUpNoOther(t *testing.T) {
	const limit, begun, calls = 4, 3, 6 // one that is its own, and the two in common
	h := hang(t, begun, calls, atMost(limit), monitored)
	got := map[codes.Code]int{}
	for _, err := range h.answers {
		got[status.Code(err)]++
		if status.Code(err) == codes.Aborted {
			code(t, err, codes.Aborted, "which was not begun", "gluster volume status gv1")
		}
	}
	if n := got[codes.DeadlineExceeded]; n == 0 || n > begun || got[codes.Aborted] != calls-n { // the maintainer may have one, too
		t.Errorf("%v, want %d begun at most, and the others not: %v", got, begun, h.answers)
	}
	h.wantStatus("/metrics", http.StatusOK,
		fmt.Sprintf(`glusterfs_csi_operations{cluster=%q,state="running",volume=%q} %d`, h.volume.Cluster, h.volume.Name, begun))

	var others errgroup.Group
	for range calls {
		others.Go(func() error {
			v, err := h.tryCreate(request(newName(), "cluster", testcluster.Name))
			if err != nil {
				return err
			}
			pod := h.target(nameOf(v))
			return errors.Join(h.tryPublish(v, pod), h.looksAt(v, nameOf(v))(t.Context()), h.tryUnpublish(v, pod), h.delete(v))
		})
	}
	code(t, others.Wait(), codes.OK)
	if err := h.has(permits.Count{Running: begun}); err != nil {
		t.Errorf("when the others had ended: %v", err)
	}
	h.resume()
	testcluster.Eventually(t, patience, func() error { return h.has(permits.Count{}) })
	for name, err := range h.answers {
		if status.Code(err) == codes.Aborted {
			stored(t, faulty(t), "gv1", name) // nothing
		}
	}
	for _, name := range h.asked {
		v := &csi.Volume{VolumeId: h.volume.String() + "/" + name}
		code(t, repeated(func() error { return h.delete(v) }), codes.OK)
	}
}
