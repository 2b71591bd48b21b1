// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/programs"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestWhoKeepsFilesOfADeadClientIsNamedAndRestartedWhereTheClassSaysSo(t *testing.T) {
	const uid, otherUID = "6e1f0c1a-22b4-4f0e-9d6a-0123456789ab", "00000000-0000-4000-8000-000000000000"
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v, w := p.create("onClientDeath", "restart"), p.create("onClientDeath", "report")
	if said, has := w.GetVolumeContext()[onDeathKey]; has || v.GetVolumeContext()[onDeathKey] != restart {
		t.Errorf("volume contexts say %v and %q", v.GetVolumeContext(), said)
	}
	publishFor := func(uid string) string {
		dir := filepath.Join(uid, "volumes", "kubernetes.io~csi", "pv")
		if err := os.MkdirAll(p.target(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, "mount")
	}
	for id, of := range map[string]*csi.Volume{uid: v, otherUID: w} { // as kubelet says whom it is for
		of.VolumeContext[podNamespaceKey], of.VolumeContext[podNameKey] = "shop", "pod-"+id
	}
	target, other := p.publish(v, publishFor(uid)), p.publish(w, publishFor(otherUID))
	code(t, p.tryPublish(v, target), codes.OK)
	root, err := statedir.Open(filepath.Join(p.dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	published, err := root.Published()
	if err != nil || len(published) != 2 || !slices.ContainsFunc(published, func(p statedir.Published) bool {
		return p.Restart && p.Pod == uid && p.Target == target && p.Root == "/"+v.GetVolumeContext()[pathKey]
	}) {
		t.Errorf("to be restarted: %+v, %v", published, err)
	}
	shell, otherShell := programs.Shell(t, "exec 3>>"+filepath.Join(target, "log")), programs.Shell(t, "exec 3>>"+filepath.Join(other, "log"))
	programs.InControlGroup(t, "kubepods/burstable/pod"+uid+"/"+id, shell)
	programs.InControlGroup(t, "kubepods/burstable/pod"+otherUID+"/"+id, otherShell)
	killClient(t, p.clients()[0])

	said := "DEGRADED DeadFiles: restart pod " + otherUID + " " + id[:12] + " process " + strconv.Itoa(otherShell) + " (sh) " + w.GetVolumeContext()[pathKey] + " open: 1 (for writing: 1)"
	testcluster.Eventually(t, time.Minute, func() error { return shows(p.volumeHealth(w.GetVolumeId(), other), said) })
	mounter := &rig{t: t, log: p.mounterLog}
	mounter.wantStatus("/metrics", 200, `glusterfs_csi_dead_files{cluster="`+testcluster.Name+`",directory="/`+w.GetVolumeContext()[pathKey]+`",pod="`+otherUID+`",volume="gv0"} 1`)
	testcluster.Eventually(t, time.Minute, func() error {
		if !programs.HasEnded(shell) || programs.HasEnded(otherShell) {
			return fmt.Errorf("the one whose class says restart has ended: %t, the other one: %t", programs.HasEnded(shell), programs.HasEnded(otherShell))
		}
		return nil
	})
	// The controller, which sees no container, is told.
	testcluster.Eventually(t, time.Minute, func() error {
		return reports(p.rig, `"namespace":"shop","name":"pod-`+otherUID+`","uid":"`+otherUID+`","code":"DeadFiles","message":"restart pod`, `"uid":"`+uid+`","code":"ContainerRestarted","message":"container `+id[:12])
	})
	if err := programs.End(otherShell); err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, time.Minute, func() error {
		return errors.Join(shows(p.volumeHealth(v.GetVolumeId(), target)), shows(p.volumeHealth(w.GetVolumeId(), other)))
	})
	mounter.logs("Ending a container", uid, "SIGTERM")
	testcluster.Eventually(t, time.Minute, func() error {
		if err := reports(p.rig, "DeadFiles"); err == nil {
			return errors.New("it is still reported, though it has ended")
		}
		return reports(p.rig, "ContainerRestarted")
	})
	p.unpublish(v, target)
	p.unpublish(w, other)
	if published, err := root.Published(); len(published) > 0 || err != nil {
		t.Errorf("to be restarted when nothing is published: %+v, %v", published, err)
	}
	code(t, p.delete(v), codes.OK)
	code(t, p.delete(w), codes.OK)
}

// reports says whether what nodes have reported has all of the words.
func reports(r *rig, words ...string) error {
	links, err := filepath.Glob(filepath.Join(healthy(r.t).BrickPath("gv0", 0), ".glusterfs-csi/reports/??/*"))
	var all strings.Builder
	for _, link := range links {
		content, errRead := os.Readlink(link)
		err = errors.Join(err, errRead)
		all.WriteString(content)
	}
	for _, word := range words {
		if !strings.Contains(all.String(), word) {
			err = errors.Join(err, fmt.Errorf("no %s in %s", word, all.String()))
		}
	}
	return err
}
