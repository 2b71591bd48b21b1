// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// isStrictProcess fails the test unless a process was started with all that makes a client of gv0 strict, or, of a relaxed one, with
// nothing of it.
func isStrictProcess(t *testing.T, pid int, want bool) {
	t.Helper()
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		t.Fatal(err)
	}
	has := strings.Split(string(command), "\x00")
	usual := gluster.Arguments("gv0", nil)
	for _, argument := range gluster.Arguments("gv0", []string{gluster.Strict}) {
		if !slices.Contains(usual, argument) && slices.Contains(has, argument) != want {
			t.Errorf("process %d: %s is there: %t; it has %q", pid, argument, !want, has)
		}
	}
}

// clientAt is the client that is mounted at a target.
func clientAt(t *testing.T, clients []client.Info, target string) client.Info {
	t.Helper()
	device := mountAt(t, target).Device
	i := slices.IndexFunc(clients, func(c client.Info) bool { return c.Device == device })
	if i < 0 {
		t.Fatalf("no client has device %v of %s: %+v", device, target, clients)
	}
	return clients[i]
}

func TestConsistencyTravelsFromTheClassToTheClient(t *testing.T) {
	r := serve(t, clustersYAML(healthy(t).Servers(), "gv0"), func(o *Options) { o.HTTPEndpoint = "127.0.0.1:0" })
	name := newName()
	v, err := r.tryCreate(request(name, "consistency", "strict"))
	code(t, err, codes.OK)
	again, err := r.tryCreate(request(name, "consistency", "strict"))
	code(t, err, codes.OK)
	if v.GetVolumeContext()[consistencyKey] != strict || again.GetVolumeContext()[consistencyKey] != strict {
		t.Fatalf("the contexts are %v and %v", v.GetVolumeContext(), again.GetVolumeContext())
	}
	// It is of the mount, as mountOptions are: another class may be served by the same directory.
	relaxedAgain, err := r.tryCreate(request(name, "consistency", "relaxed"))
	code(t, err, codes.OK)
	if _, has := relaxedAgain.GetVolumeContext()[consistencyKey]; has {
		t.Fatalf("the context is %v", relaxedAgain.GetVolumeContext())
	}

	pod, other := r.publish(v, "strict"), r.publish(relaxedAgain, "relaxed")
	clients := r.host.Clients()
	isStrictProcess(t, clientAt(t, clients, pod).PID, true)
	isStrictProcess(t, clientAt(t, clients, other).PID, false)
	reader := r.publish(v, "reader", as(csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY))
	isStrictProcess(t, clientAt(t, r.host.Clients(), reader).PID, true)
	code(t, r.tryPublish(v, pod), codes.OK)
	code(t, r.tryPublish(relaxedAgain, pod), codes.Aborted, "another consistency") // not a final code while something is mounted

	static := static("gv0", v.GetVolumeContext()[pathKey])
	static.VolumeId, static.VolumeContext[consistencyKey] = v.GetVolumeId(), strict
	fixed := r.publish(static, "static")
	if clientAt(t, r.host.Clients(), fixed).PID != clientAt(t, clients, pod).PID {
		t.Error("a strict volume of volumeAttributes has another client than one of a class")
	}
	var counted []string
	families, err := r.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "glusterfs_csi_clients" {
			for _, m := range family.GetMetric() {
				for _, label := range m.GetLabel() {
					if label.GetName() == consistencyKey {
						counted = append(counted, fmt.Sprintf("%s %v", label.GetValue(), m.GetGauge().GetValue()))
					}
				}
			}
		}
	}
	if slices.Sort(counted); !slices.Equal(counted, []string{"relaxed 1", "strict 2"}) { // of the strict ones, one is read-only
		t.Errorf("the metric counts %q", counted)
	}
	r.unpublish(v, pod, other, reader, fixed)
	code(t, r.delete(v), codes.OK)
}

func TestMountOptionsThatContradictStrictAreRefusedByName(t *testing.T) {
	r := onGV0(t)
	v := r.create("consistency", "strict")
	for _, option := range []string{
		"attribute-timeout=1", "attribute-timeout=0", "auto-invalidation=off", "entry-timeout=1", "fopen-keep-cache=on",
		"kernel-writeback-cache=on", "negative-timeout=1",
	} {
		name, _, _ := strings.Cut(option, "=")
		q := request(newName(), "consistency", "strict")
		q.VolumeCapabilities = []*csi.VolumeCapability{capability(manyWriters), capability(manyWriters, "acl", option)}
		_, err := r.tryCreate(q)
		code(t, err, codes.InvalidArgument, name, "consistency: strict")
		code(t, r.tryPublish(v, r.target("pod"), as(manyWriters, option)), codes.InvalidArgument, name, "consistency: strict")
		nothingAt(t, r.target("pod"))
	}
	_, err := r.tryCreate(request(newName(), "consistency", "strikt"))
	code(t, err, codes.InvalidArgument, "consistency", "neither relaxed nor strict")
	code(t, r.tryPublish(v, r.target("pod"), as(manyWriters, gluster.Strict)), codes.InvalidArgument, "parameter of the StorageClass")
	r.unpublish(v, r.publish(v, "pod", as(manyWriters, "acl", "direct-io-mode=off", "log-level=INFO")))

	ctx, cancel := r.context()
	defer cancel()
	said, err := r.controller.ValidateVolumeCapabilities(ctx, &csi.ValidateVolumeCapabilitiesRequest{
		VolumeId: v.GetVolumeId(), VolumeContext: v.GetVolumeContext(), VolumeCapabilities: []*csi.VolumeCapability{capability(manyWriters, "entry-timeout=1")},
	})
	if err != nil || said.GetConfirmed() != nil || !strings.Contains(said.GetMessage(), "entry-timeout") {
		t.Errorf("%v, %v", said, err)
	}
	code(t, r.delete(v), codes.OK)
}

func TestAStrictClientIsStrictAgainWhateverEnds(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v := p.create("consistency", "strict")
	target := p.publish(v, "pod")
	pod := newPod(t)
	pod.append(filepath.Join(target, "f"), "kept")
	strictClient := func() client.Info { return clientAt(t, p.clients(), target) }
	first := strictClient()
	isStrictProcess(t, first.PID, true)

	p.kill(p.nodeProcess)
	p.kill(p.mounterProcess)
	p.startMounter()
	p.startNode()
	code(t, p.tryPublish(v, target), codes.OK)
	if c := strictClient(); c.PID != first.PID || !slices.Contains(c.Options, gluster.Strict) {
		t.Errorf("the client was %+v, is %+v", first, c)
	}

	killClient(t, first)
	pod.appends(t, filepath.Join(target, "f"), "kept")
	second := strictClient()
	isStrictProcess(t, second.PID, true)

	p.kill(p.mounterProcess)
	killClient(t, second)
	p.startMounter()
	pod.appends(t, filepath.Join(target, "f"), "kept")
	third := strictClient()
	isStrictProcess(t, third.PID, true)
	if first.PID == second.PID || second.PID == third.PID {
		t.Errorf("the clients %d, %d, %d are not three", first.PID, second.PID, third.PID)
	}
	p.healthComesTo(v, target)
	p.unpublish(v, target)
	code(t, p.delete(v), codes.OK)
}

func TestPathsOfNamesWithDots(t *testing.T) {
	r := onGV0(t)
	parameters := []string{"path", "${pvc.namespace}/${pvc.name}", pvNameKey, "pvc-dots", pvcNameKey, "data.db-0.my.app", pvcNamespaceKey, "team.a"}
	v := r.create(parameters...)
	if got := v.GetVolumeContext()[pathKey]; got != "team.a/data.db-0.my.app" {
		t.Fatalf("the path is %q", got)
	}
	target := r.publish(v, "pod")
	if err := os.WriteFile(filepath.Join(target, "f"), nil, 0o600); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(healthy(t).BrickPath("gv0", 0), "team.a/data.db-0.my.app/f")); err != nil {
		t.Error(err)
	}
	r.unpublish(v, target)
	code(t, r.delete(v), codes.OK)
	for i := range 2 { // its place is free, and the directory of the namespace is gone with its last volume
		if _, err := os.Stat(filepath.Join(healthy(t).BrickPath("gv0", i), "team.a")); !os.IsNotExist(err) {
			t.Errorf("on brick %d: %v", i, err)
		}
	}
	testcluster.Eventually(t, patience, func() error {
		again, err := r.tryCreate(request(newName(), parameters...))
		if err != nil {
			return err
		}
		return r.delete(again)
	})
}
