// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func atMost(operations int) func(*Options) {
	return func(o *Options) { o.MaxOperations = operations }
}

// files makes so many files at a target.
func files(t *testing.T, target string, n int) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error { return os.WriteFile(filepath.Join(target, fmt.Sprint("f", i)), nil, 0o600) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// More grants than there are permits, and more calls of the volumes that are being granted: none of them is in the way
// of the calls of other volumes.
func TestLongGrantsHoldUpNoCall(t *testing.T) {
	const grants, waiting, calls = 3, 20, 5
	r := serve(t, clustersYAML(healthy(t).Servers(), "gv0"), atMost(2))
	gv0 := gluster.Volume{Cluster: testcluster.Name, Name: "gv0"}
	var volumes []*csi.Volume
	var pods []string
	for i := range grants {
		v := r.create()
		volumes, pods = append(volumes, v), append(pods, r.publish(v, fmt.Sprint("writer", i)))
		files(t, pods[i], 400)
	}
	granted := make(chan error, grants+waiting)
	publish := func(v *csi.Volume, target string, limit time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		granted <- r.publishes(v, target, group("2001"))(ctx)
	}
	for i, v := range volumes {
		publish(v, fmt.Sprint("granted", i), 200*time.Millisecond)
		code(t, <-granted, codes.Aborted, "being granted") // it goes on, and nobody waits for it
	}
	for range waiting {
		go publish(volumes[0], "granted0", patience)
	}
	for range calls {
		v := r.create()
		code(t, errors.Join(r.gets(v)(t.Context()), r.delete(v)), codes.OK)
	}
	if n := r.permits.Counts()[gv0]; n.Running+n.Waiting < grants {
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

// silent is a driver with gv0, and with gv1 of servers that are to be stopped.
func silent(t *testing.T, change ...func(*Options)) (r *rig, stopped gluster.Volume) {
	t.Helper()
	second := strings.TrimPrefix(clustersYAML(faulty(t).Servers(), "gv1"), "clusters:\n")
	second = strings.Replace(second, testcluster.Name, "other", 1)
	return serve(t, clustersYAML(healthy(t).Servers(), "gv0")+second, change...), gluster.Volume{Cluster: "other", Name: "gv1"}
}

func TestAGlusterVolumeThatHangsHoldsUpNoOther(t *testing.T) {
	const limit, its, calls = 4, 3, 6 // its own, and the common two
	r, hung := silent(t, atMost(limit), monitored)
	resume := func() {
		for i := range faulty(t).Servers() {
			if err := faulty(t).ContinueServer(i); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(resume)
	kept := named("gv1", nameOf(r.create("cluster", hung.Cluster)))
	kept.VolumeId = strings.Replace(kept.GetVolumeId(), testcluster.Name, hung.Cluster, 1)
	ask := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return r.gets(kept)(ctx)
	}
	is := func(want permits.Count) error {
		if n := r.permits.Counts()[hung]; n != want {
			return fmt.Errorf("%s has %+v, want %+v", hung, n, want)
		}
		return nil
	}
	// Calls are begun as long as the last answer is fresh: on a busy machine it may be none by then.
	var answers []error
	testcluster.Eventually(t, 2*time.Minute, func() error {
		resume()
		if err := errors.Join(is(permits.Count{}), ask(patience)); err != nil {
			return err
		}
		for i := range faulty(t).Servers() {
			if err := faulty(t).StopServer(i); err != nil {
				t.Fatal(err)
			}
		}
		answered := make(chan error, calls)
		for range calls {
			go func() { answered <- ask(2 * time.Second) }()
		}
		answers = nil
		for range calls {
			answers = append(answers, <-answered)
		}
		return is(permits.Count{Running: its})
	})
	got := map[codes.Code]int{}
	for _, err := range answers {
		got[status.Code(err)]++
		if status.Code(err) == codes.Aborted {
			code(t, err, codes.Aborted, "which was not begun", "gluster volume status gv1")
		}
	}
	if got[codes.DeadlineExceeded] != its || got[codes.Aborted] != calls-its {
		t.Errorf("%v, want %d begun and the others not: %v", got, its, answers)
	}
	r.wantStatus("/metrics", http.StatusOK, fmt.Sprintf(`glusterfs_csi_operations{cluster=%q,state="running",volume=%q} %d`, hung.Cluster, hung.Name, its))

	var others errgroup.Group
	for range calls {
		others.Go(func() error {
			v, err := r.tryCreate(request(newName(), "cluster", testcluster.Name))
			if err != nil {
				return err
			}
			pod := r.target(nameOf(v))
			return errors.Join(r.tryPublish(v, pod), r.stats(v, nameOf(v))(t.Context()), r.tryUnpublish(v, pod), r.delete(v))
		})
	}
	code(t, others.Wait(), codes.OK)
	if err := is(permits.Count{Running: its}); err != nil {
		t.Errorf("when the others had ended: %v", err)
	}
	resume()
	testcluster.Eventually(t, patience, func() error { return is(permits.Count{}) })
	code(t, r.delete(kept), codes.OK)
}
