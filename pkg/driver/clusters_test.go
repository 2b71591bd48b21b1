// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// neighbour is an address in the cluster's own network that none of its servers has.
func neighbour(c *testcluster.Cluster, host int) string {
	first := c.Servers()[0]
	return fmt.Sprintf("%s.%d", first[:strings.LastIndex(first, ".")], host)
}

func (r *rig) isReady() error {
	ctx, cancel := r.context()
	defer cancel()
	response, err := r.identity.Probe(ctx, &csi.ProbeRequest{})
	if err == nil && !response.GetReady().GetValue() {
		err = errors.New("not ready")
	}
	return err
}

func TestTheClustersFileMayComeLater(t *testing.T) {
	r := serve(t, "")
	if err := r.isReady(); err == nil || err.Error() != "not ready" {
		t.Errorf("Probe without a clusters file: %v", err)
	}
	v := static("gv0", "any")
	_, err := r.tryCreate(request(newName()))
	code(t, err, codes.Unavailable, "clusters file", "clusters.yaml")
	code(t, r.tryPublish(v, r.target("pod")), codes.Unavailable, "clusters file")
	code(t, r.delete(v), codes.Unavailable, "clusters file")
	nothingAt(t, r.target("pod"))
	code(t, r.tryUnpublish(v, r.target("pod")), codes.OK)

	r.setClusters(clustersYAML(healthy(t).Servers(), "gv0"))
	testcluster.Eventually(t, patience, r.isReady)
	code(t, r.delete(r.create()), codes.OK)
}

func TestABrokenClustersFileIsNotLoaded(t *testing.T) {
	for name, content := range map[string]string{
		"empty":            "",
		"not YAML":         "clusters: [",
		"no cluster":       "clusters: []",
		"no servers":       "clusters: [{name: pi, servers: [], volumes: [gv0]}]",
		"no volumes":       "clusters: [{name: pi, servers: [127.0.0.1]}]",
		"an unknown key":   "clusters: [{name: pi, severs: [127.0.0.1], volumes: [gv0]}]",
		"a name that ends": "clusters: [{name: ../pi, servers: [127.0.0.1], volumes: [gv0]}]",
		"a cluster twice":  "clusters: [{name: pi, servers: [127.0.0.1], volumes: [gv0]}, {name: pi, servers: [127.0.0.2], volumes: [gv1]}]",
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, "\n"+content)
			if err := r.isReady(); err == nil {
				t.Error("Probe says ready")
			}
			_, err := r.tryCreate(request(newName()))
			code(t, err, codes.Unavailable, "clusters file:")
		})
	}
}

func TestServersNamedTwiceCountOnce(t *testing.T) {
	servers := healthy(t).Servers()
	r := serve(t, clustersYAML(append(servers, servers...), "gv0"))
	code(t, r.delete(r.create()), codes.OK)
}

func TestABrokenEditIsIgnoredAndAGoodOneNeedsNoRestart(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r := onGV0(t)
	v := r.create()
	pod := r.publish(v, "pod")

	r.setClusters("clusters: [{name: pi, servers: []")
	testcluster.Eventually(t, patience, func() error {
		if !strings.Contains(r.log.String(), "Refused the clusters file") {
			return errors.New("the log does not say that the file was refused")
		}
		return nil
	})
	if err := r.isReady(); err != nil {
		t.Errorf("Probe: %v", err)
	}
	code(t, r.delete(r.create()), codes.OK)
	_, err := r.tryCreate(request(newName(), "volume", name))
	code(t, err, codes.FailedPrecondition, name, "the clusters file allows", "gv0")

	r.setClusters(clustersYAML(c.Servers(), "gv0", name))
	var added *csi.Volume
	testcluster.Eventually(t, patience, func() (err error) {
		added, err = r.tryCreate(request(newName(), "volume", name))
		return err
	})
	_, err = r.tryCreate(request(newName()))
	code(t, err, codes.FailedPrecondition, "name one of", "gv0", name)

	// What is taken out of the file is not touched any more, and stays mounted.
	r.setClusters(clustersYAML(c.Servers(), name))
	testcluster.Eventually(t, patience, func() error {
		err := r.tryPublish(v, r.target("late"))
		if err == nil { // the file has not been read again yet
			r.unpublish(v, r.target("late"))
		}
		if status.Code(err) != codes.FailedPrecondition {
			return fmt.Errorf("want FailedPrecondition, got %w", err)
		}
		return nil
	})
	code(t, r.delete(v), codes.FailedPrecondition, "gv0", "the clusters file allows")
	stored(t, c, "gv0", nameOf(v), nameOf(v), record(nameOf(v)))
	if err := os.WriteFile(pod+"/f", []byte("x"), 0o600); err != nil {
		t.Error(err)
	}
	r.unpublish(v, pod)
	code(t, r.delete(added), codes.OK)
	r.setClusters(clustersYAML(c.Servers(), "gv0"))
	testcluster.Eventually(t, patience, func() error { return r.delete(v) })
}

func TestGlusterVolumesThatCannotBeUsedSayWhy(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	if err := c.StopVolume(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // ownVolume stops it again
		if err := c.StartVolume(name); err != nil {
			t.Error(err)
		}
	})
	silent := neighbour(c, 211)
	listen24007(t, silent)
	refusing := []string{neighbour(c, 212), neighbour(c, 213)}
	for what, test := range map[string]struct {
		servers []string
		volume  string
		limit   time.Duration
		code    codes.Code
		says    []string
	}{
		"the cluster has no such volume": {c.Servers(), "gv9", patience, codes.FailedPrecondition, []string{"pi/gv9", "gluster volume list", "failed to fetch volume file"}},
		"the volume is not started":      {c.Servers(), name, patience, codes.Unavailable, []string{name, "gluster volume start " + name}},
		"all servers refuse connections": {refusing, "gv0", patience, codes.Unavailable, []string{"pi/gv0", refusing[0] + " (connection refused)", refusing[1] + " (connection refused)", "its client says", "glusterd runs"}},
		"the only server never answers":  {[]string{silent}, "gv0", 4 * time.Second, codes.DeadlineExceeded, []string{"pi/gv0", silent + " (no answer)", "glusterd runs"}},
	} {
		t.Run(what, func(t *testing.T) {
			r := serve(t, clustersYAML(test.servers, test.volume))
			v := static(test.volume, "any")
			calls := map[string]func(ctx context.Context) error{
				"CreateVolume": func(ctx context.Context) error {
					_, err := r.controller.CreateVolume(ctx, request(newName()))
					return err
				},
				"DeleteVolume": func(ctx context.Context) error {
					_, err := r.controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: v.GetVolumeId()})
					return err
				},
				"NodePublishVolume": func(ctx context.Context) error {
					_, err := r.node.NodePublishVolume(ctx, publishRequest(v, r.target("pod")))
					return err
				},
			}
			var all sync.WaitGroup // they share the start of a client
			for rpc, call := range calls {
				all.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), test.limit)
					defer cancel()
					began := time.Now()
					err := call(ctx)
					if took := time.Since(began); took > test.limit+time.Second {
						t.Errorf("%s took %v", rpc, took)
					}
					if err := expect(err, test.code, test.says...); err != nil {
						t.Errorf("%s: %v", rpc, err)
					}
				})
			}
			all.Wait()
			nothingAt(t, r.target("pod"))
			r.stop()
			// A start that went on for others ends with the driver.
			if left := mountsBelow(t, r.dir); len(left) > 0 {
				t.Errorf("left mounted: %+v", left)
			}
		})
	}
}

// listen24007 accepts connections and never answers, as a glusterd that is stopped.
func listen24007(t *testing.T, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "24007"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			defer connection.Close() // at the end
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
}

func TestOneServerOfTwoIsEnough(t *testing.T) {
	c := faulty(t)
	r := serve(t, clustersYAML(c.Servers(), "gv1"))
	before := r.create()
	pod := r.publish(before, "before")
	t.Cleanup(func() {
		if err := c.StartServer(0); err != nil {
			t.Error(err)
		}
	})
	if err := c.KillServer(0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pod+"/f", []byte("x"), 0o600); err != nil {
		t.Errorf("what is published stopped: %v", err)
	}
	during := r.create()
	r.unpublish(during, r.publish(during, "during"))
	// The first server is the dead one: a new client comes up all the same.
	fresh := serve(t, clustersYAML(c.Servers(), "gv1"))
	late := fresh.create()
	fresh.unpublish(late, fresh.publish(late, "late"))
	r.unpublish(before, pod)
	for _, v := range []*csi.Volume{before, during, late} {
		code(t, fresh.delete(v), codes.OK)
	}
}
