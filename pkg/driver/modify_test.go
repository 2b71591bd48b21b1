// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func (r *rig) modify(id string, pairs ...string) error {
	ctx, cancel := r.context()
	defer cancel()
	wanted := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		wanted[pairs[i]] = pairs[i+1]
	}
	_, err := r.controller.ControllerModifyVolume(ctx, &csi.ControllerModifyVolumeRequest{VolumeId: id, MutableParameters: wanted})
	return err
}

func TestAVolumeIsModifiedWhileItIsInUse(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), name))
	wanted := request(newName(), "uid", "1001", "mode", "0750")
	wanted.MutableParameters = map[string]string{"uid": "1002"}
	v, err := r.tryCreate(wanted)
	if err != nil {
		t.Fatal(err)
	}
	target := r.publish(v, "pod")
	if got := owner(t, target); got != "1002:0 0750" {
		t.Errorf("made with the owner %s", got)
	}
	for range 2 {
		code(t, r.modify(v.GetVolumeId(), "gid", "1003", "mode", "2770", "onDelete", "retain", "quota", "none"), codes.OK)
	}
	testcluster.Eventually(t, patience, func() error { return wantsOwner(t, target, "1002:1003 2770") })
	// What it was changed to is mended, not what the class said.
	second := r.publish(v, "second")
	if got := owner(t, second); got != "1002:1003 2770" {
		t.Errorf("published with the owner %s", got)
	}
	if again, err := r.tryCreate(wanted); err != nil || again.GetVolumeId() != v.GetVolumeId() {
		t.Errorf("its creation, repeated: %v, %v", again, err)
	}
	r.unpublish(v, target, second)
	code(t, r.delete(v), codes.OK)
	stored(t, c, name, nameOf(v), nameOf(v)) // retained
}

func TestModificationsThatAreRefused(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), name))
	v := r.createSized(20 * mib)
	id := v.GetVolumeId()
	code(t, r.modify(id), codes.OK)
	code(t, r.modify(id, "path", "elsewhere"), codes.InvalidArgument, "path cannot be changed", "gid, mode, onDelete, quota, recursive, uid")
	code(t, r.modify(id, "giid", "1"), codes.InvalidArgument, `did you mean "gid"`)
	code(t, r.modify(id, "uid", "-1"), codes.InvalidArgument, "uid", "0 to 4294967294")
	code(t, r.modify(id+"-not", "uid", "1"), codes.NotFound)
	code(t, r.modify(id, "quota", "enforced"), codes.FailedPrecondition, "gluster volume quota "+name+" enable")
	code(t, r.delete(v), codes.OK)
}

func TestALimitIsSetAndLiftedOnline(t *testing.T) {
	_, _, r := onLimitedVolume(t, testcluster.VolumeOptions{})
	v := r.createSized(20*mib, "quota", "none")
	target := r.publish(v, "pod")
	for range 2 {
		code(t, r.modify(v.GetVolumeId(), "quota", "enforced"), codes.OK)
	}
	showsSize(t, target, 20*mib)
	if _, err := r.expand(v.GetVolumeId(), 30*mib, 0); err != nil {
		t.Error(err)
	}
	showsSize(t, target, 30*mib)
	code(t, r.modify(v.GetVolumeId(), "quota", "none"), codes.OK)
	testcluster.Eventually(t, patience, func() error { return wantsAtLeast(target, 1<<30) })
	r.unpublish(v, target)
}
