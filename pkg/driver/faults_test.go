// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// comesTo waits until call fails with this code and says all of the words: a client learns
// of a fault a moment later.
func comesTo(t *testing.T, call func() error, want codes.Code, words ...string) {
	t.Helper()
	testcluster.Eventually(t, patience, func() error { return expect(call(), want, words...) })
}

func TestAFullGlusterVolume(t *testing.T) {
	c, volume := ownVolume(t, testcluster.VolumeOptions{BrickSize: 32 << 20})
	r := serve(t, clustersYAML(c.Servers(), volume))
	v, err := r.tryCreate(sized(newName(), 16<<20))
	code(t, err, codes.OK)
	pod := r.publish(v, "pod")
	ballast := filepath.Join(pod, "ballast")
	fill(t, ballast)
	// A brick that has not seen yet that it is full may still have room for a record.
	var late *csi.CreateVolumeRequest
	comesTo(t, func() error {
		late = sized(newName(), 16<<20)
		made, err := r.tryCreate(late)
		if err == nil {
			code(t, r.delete(made), codes.OK)
		}
		return err
	}, codes.ResourceExhausted, volume, "trash purge")
	r.unpublish(v, r.publish(v, "reader")) // who only looks is not in need of space
	code(t, r.delete(v), codes.OK)         // nor who gives it up
	stored(t, c, volume, nameOf(v), trashed(nameOf(v)))
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	// The bricks look at their free space every few seconds only (storage.reserve).
	comesTo(t, func() error { _, err := r.tryCreate(late); return err }, codes.OK)
	stored(t, c, volume, late.GetName(), late.GetName(), record(late.GetName()))
	r.unpublish(v, pod)
}

// fill writes until no page is free.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for size := len(block); size >= os.Getpagesize(); size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(block[:size])
		}
		// When only one brick is full by a page, GlusterFS says EIO.
		if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EIO) {
			t.Fatal(err)
		}
	}
}

func TestAGlusterVolumeThatRefusesRoot(t *testing.T) {
	for option, test := range map[string]struct {
		want    codes.Code
		publish func(t *testing.T, r *rig, v *csi.Volume)
	}{
		"server.root-squash": {codes.Unavailable, func(t *testing.T, r *rig, v *csi.Volume) {
			// Until the kernel asks for the record again, which is within a second or two, publishing works.
			comesTo(t, func() error {
				err := r.tryPublish(v, r.target("late"))
				if err == nil {
					r.unpublish(v, r.target("late"))
				}
				return err
			}, codes.FailedPrecondition, "server.root-squash off")
			nothingAt(t, r.target("late"))
		}},
		"features.read-only": {codes.FailedPrecondition, func(_ *testing.T, r *rig, v *csi.Volume) {
			r.unpublish(v, r.publish(v, "late")) // it is its owner's already
		}},
	} {
		t.Run(option, func(t *testing.T) {
			c, volume := ownVolume(t, testcluster.VolumeOptions{})
			r := serve(t, clustersYAML(c.Servers(), volume))
			before := r.create("uid", "1001")
			pod := r.publish(before, "pod")
			if err := c.SetOption(volume, option, "on"); err != nil {
				t.Fatal(err)
			}
			// With another name each time: until the client learns of it, creation works.
			var during string
			comesTo(t, func() error {
				during = newName()
				_, err := r.tryCreate(request(during, "uid", "1001"))
				return err
			}, test.want, volume, option)
			test.publish(t, r, before)
			if err := c.SetOption(volume, option, "off"); err != nil {
				t.Fatal(err)
			}
			comesTo(t, func() error { _, err := r.tryCreate(request(during, "uid", "1001")); return err }, codes.OK)
			stored(t, c, volume, during, during, record(during))
			if got := owner(t, filepath.Join(c.BrickPath(volume, 0), during)); got != "1001:0 2770" {
				t.Errorf("it belongs to %s", got)
			}
			if err := os.WriteFile(filepath.Join(pod, "f"), nil, 0o600); err != nil {
				t.Errorf("what was published before: %v", err)
			}
			r.unpublish(before, pod)
		})
	}
}

func TestAQuorumLostAndRegained(t *testing.T) {
	c, volume := ownVolume(t, testcluster.VolumeOptions{})
	// Of two bricks the first is the one that counts (cluster.quorum-type auto).
	if err := c.SetOption(volume, "cluster.quorum-type", "auto"); err != nil {
		t.Fatal(err)
	}
	r := serve(t, clustersYAML(c.Servers(), volume))
	v := r.create("uid", "1001")
	pod := r.publish(v, "pod")
	pid, device := r.pid(), mountAt(t, pod).Device
	late := request(newName(), "path", "deep/${pv.name}")
	if err := c.KillBrick(volume, 0); err != nil {
		t.Fatal(err)
	}
	cure := "gluster volume status"
	comesTo(t, func() error {
		err := r.tryPublish(v, r.target("late"))
		return errors.Join(err, r.tryUnpublish(v, r.target("late")))
	}, codes.Unavailable, volume, cure)
	_, err := r.tryCreate(late)
	code(t, err, codes.Unavailable, volume, cure)
	code(t, r.delete(v), codes.Unavailable, volume, cure)
	code(t, r.tryPublish(v, pod), codes.Unavailable, cure) // while it is mounted there
	if err := os.WriteFile(filepath.Join(pod, "f"), nil, 0o600); err == nil {
		t.Error("a write went through without a quorum")
	}

	if err := c.StartBrick(volume, 0); err != nil {
		t.Fatal(err)
	}
	comesTo(t, func() error { _, err := r.tryCreate(late); return err }, codes.OK)
	comesTo(t, func() error { return r.tryPublish(v, pod) }, codes.OK)
	if err := os.WriteFile(filepath.Join(pod, "f"), nil, 0o600); err != nil {
		t.Errorf("what was published before: %v", err)
	}
	if r.pid() != pid || mountAt(t, pod).Device != device {
		t.Error("the client was replaced")
	}
	nothingAt(t, r.target("late"))
	r.unpublish(v, pod)
	code(t, r.delete(v), codes.OK)
	stored(t, c, volume, nameOf(v), trashed(nameOf(v)))
	stored(t, c, volume, late.GetName(), "deep/"+late.GetName(), record(late.GetName()))
}
