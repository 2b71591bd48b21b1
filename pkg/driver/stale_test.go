// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/programs"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestWhatStaysDeadInAContainerAloneIsSeen(t *testing.T) {
	const uid, otherUID = "6e1f0c1a-22b4-4f0e-9d6a-0123456789ab", "00000000-0000-4000-8000-000000000000"
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v, w := p.create(), p.create()
	volumes := func(uid, pv string) string {
		dir := filepath.Join(uid, "volumes", "kubernetes.io~csi", pv)
		if err := os.MkdirAll(p.target(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, "mount")
	}
	target, other, another := p.publish(v, volumes(uid, "v")), p.publish(v, volumes(otherUID, "v")), p.publish(w, volumes(uid, "w"))
	sub, subPath := filepath.Join(target, "sub"), p.target("subpath")
	if err := errors.Join(os.Mkdir(sub, 0o755), os.Mkdir(subPath, 0o755), unix.Mount(sub, subPath, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	c := newPod(t)
	programs.InControlGroupUntil(t, "kubepods/burstable/pod"+uid+"/c", c.Stop, c.PID())
	// Its subPath is in the container alone, and leads nowhere any more.
	if err := errors.Join(mount.Detach(subPath), os.Remove(sub)); err != nil {
		t.Fatal(err)
	}
	killClient(t, p.clients()[0])

	said := "ContainerMountDead: restart " + uid + " " + strconv.Itoa(c.PID()) + " " + v.GetVolumeContext()[pathKey] + "/sub " + subPath
	testcluster.Eventually(t, patience, func() error {
		return errors.Join(
			shows(p.volumeHealth(v.GetVolumeId(), target), "INACCESSIBLE "+said),
			shows(p.volumeHealth(v.GetVolumeId(), ""), "DEGRADED "+said),
			shows(p.storageHealth(), "STORAGE_DEGRADED "+said),
			shows(p.volumeHealth(v.GetVolumeId(), other)), shows(p.volumeHealth(w.GetVolumeId(), another)))
	})
	const metric = `glusterfs_csi_container_mounts_dead{cluster="` + testcluster.Name + `",volume="gv0"} 1`
	mounter := &rig{t: t, log: p.mounterLog}
	mounter.wantStatus("/metrics", 200, metric)
	mounter.logs("stay dead", "pod "+uid, "/sub", "at "+subPath)

	t.Run("as long as it does", func(t *testing.T) {
		c.Stop()
		p.kill(p.mounterProcess) // looks at once when it starts
		p.startMounter()
		testcluster.Eventually(t, patience, func() error {
			return errors.Join(shows(p.volumeHealth(v.GetVolumeId(), target)), shows(p.storageHealth()))
		})
	})
	p.unpublish(v, target, other)
	p.unpublish(w, another)
	code(t, p.delete(v), codes.OK)
	code(t, p.delete(w), codes.OK)
}
