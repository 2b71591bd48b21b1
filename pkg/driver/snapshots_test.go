// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func (r *rig) trySnapshot(of *csi.Volume, name string, parameters ...string) (*csi.Snapshot, error) {
	ctx, cancel := r.context()
	defer cancel()
	wanted := &csi.CreateSnapshotRequest{Name: name, SourceVolumeId: of.GetVolumeId(), Parameters: map[string]string{}}
	for i := 0; i < len(parameters); i += 2 {
		wanted.Parameters[parameters[i]] = parameters[i+1]
	}
	response, err := r.controller.CreateSnapshot(ctx, wanted)
	return response.GetSnapshot(), err
}

// snapshot makes a snapshot and waits until it is ready.
func (r *rig) snapshot(of *csi.Volume, name string, parameters ...string) (s *csi.Snapshot) {
	r.t.Helper()
	testcluster.Eventually(r.t, time.Minute, func() (err error) {
		s, err = r.trySnapshot(of, name, parameters...)
		if err == nil && !s.GetReadyToUse() {
			err = errors.New("it is not ready")
		}
		return err
	})
	if s.GetSizeBytes() <= 0 || s.GetSourceVolumeId() != of.GetVolumeId() || s.GetCreationTime().AsTime().IsZero() {
		r.t.Errorf("the snapshot is %v", s)
	}
	return s
}

func from(s *csi.Snapshot) *csi.CreateVolumeRequest {
	wanted := request(newName())
	wanted.VolumeContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
		Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: s.GetSnapshotId()},
	}}
	return wanted
}

func of(v *csi.Volume) *csi.CreateVolumeRequest {
	wanted := request(newName())
	wanted.VolumeContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{
		Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: v.GetVolumeId()},
	}}
	return wanted
}

// listed are the IDs of a list of snapshots, in pages of two.
func (r *rig) listed(filter *csi.ListSnapshotsRequest) (ids []string) {
	r.t.Helper()
	ctx, cancel := r.context()
	defer cancel()
	filter.MaxEntries = 2
	for {
		response, err := r.controller.ListSnapshots(ctx, filter)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range response.GetEntries() {
			ids = append(ids, e.GetSnapshot().GetSnapshotId())
		}
		if filter.StartingToken = response.GetNextToken(); filter.GetStartingToken() == "" {
			return ids
		}
	}
}

func TestAVolumeIsRestoredFromEitherOfTwoSnapshots(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), name))
	v := r.create("uid", "1001", "gid", "7", "mode", "0750")
	at := r.publish(v, "source")
	if err := os.Mkdir(filepath.Join(at, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		write(t, filepath.Join(at, "d", fmt.Sprint(i)), fmt.Sprint("first ", i))
	}
	if err := errors.Join(unix.Mkfifo(filepath.Join(at, "fifo"), 0o600), os.Symlink("d/1", filepath.Join(at, "link")), os.Chown(filepath.Join(at, "d", "3"), 1002, 8)); err != nil {
		t.Fatal(err)
	}
	one := r.snapshot(v, "one-"+nameOf(v))
	write(t, filepath.Join(at, "d", "1"), "second 1, which is longer")
	two := r.snapshot(v, "two-"+nameOf(v))
	if err := os.Remove(filepath.Join(at, "d", "2")); err != nil {
		t.Fatal(err)
	}
	r.unpublish(v, at)
	if err := r.delete(v); err != nil {
		t.Fatal(err)
	}
	check := func(s *csi.Snapshot, want string) {
		restored, err := r.tryCreate(from(s))
		if err != nil {
			t.Fatal(err)
		}
		if got := restored.GetContentSource().GetSnapshot().GetSnapshotId(); got != s.GetSnapshotId() {
			t.Errorf("it says that it is from %q", got)
		}
		at := r.publish(restored, "restored-"+nameOf(restored))
		for i, want := range map[int]string{1: want, 2: "first 2", 3: "first 3"} {
			if got, err := os.ReadFile(filepath.Join(at, "d", fmt.Sprint(i))); err != nil || string(got) != want {
				t.Errorf("%d is %q, %v, want %q", i, got, err, want)
			}
		}
		if got := owner(t, at); got != "1001:7 0750" {
			t.Errorf("its owner is %s", got)
		}
		if got := owner(t, filepath.Join(at, "d", "3")); !strings.HasPrefix(got, "1002:8") {
			t.Errorf("the owner of what is in it is %s", got)
		}
		if info, err := os.Lstat(filepath.Join(at, "fifo")); err != nil || info.Mode().Type() != os.ModeNamedPipe {
			t.Errorf("the FIFO is %v, %v", info, err)
		}
		write(t, filepath.Join(at, "d", "4"), "written") // to no snapshot
		r.unpublish(restored, at)
	}
	check(one, "first 1")
	check(two, "second 1, which is longer")
	ctx, cancel := r.context()
	defer cancel()
	if _, err := r.controller.DeleteSnapshot(ctx, &csi.DeleteSnapshotRequest{SnapshotId: one.GetSnapshotId()}); err != nil {
		t.Fatal(err)
	}
	check(two, "second 1, which is longer")
	if _, err := r.tryCreate(from(one)); expect(err, codes.NotFound) != nil {
		t.Errorf("from a snapshot that was deleted: %v", err)
	}
}

func TestSnapshotsAreListedByEachFilter(t *testing.T) {
	c, one := ownVolume(t, testcluster.VolumeOptions{})
	_, two := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), one, two))
	a, b := r.create("volume", one), r.create("volume", two)
	ofA := []string{r.snapshot(a, "a-1").GetSnapshotId(), r.snapshot(a, "a-2").GetSnapshotId(), r.snapshot(a, "a-elsewhere", "volume", two).GetSnapshotId()}
	ofB := []string{r.snapshot(b, "b-1").GetSnapshotId()}
	if ofA[2] != testcluster.Name+"/"+two+"/a-elsewhere" {
		t.Errorf("the one that is elsewhere is %s", ofA[2])
	}
	all := slices.Sorted(slices.Values(append(slices.Clone(ofA), ofB...)))
	for _, test := range []struct {
		name   string
		filter *csi.ListSnapshotsRequest
		want   []string
	}{
		{"none", &csi.ListSnapshotsRequest{}, all},
		{"one volume's", &csi.ListSnapshotsRequest{SourceVolumeId: a.GetVolumeId()}, slices.Sorted(slices.Values(ofA))},
		{"of no volume", &csi.ListSnapshotsRequest{SourceVolumeId: "pi/gv0/none"}, nil},
		{"one snapshot", &csi.ListSnapshotsRequest{SnapshotId: ofA[1]}, ofA[1:2]},
		{"one snapshot of another volume", &csi.ListSnapshotsRequest{SnapshotId: ofA[1], SourceVolumeId: b.GetVolumeId()}, nil},
		{"no snapshot of this driver", &csi.ListSnapshotsRequest{SnapshotId: "snap-0123"}, nil},
		{"no cluster of this driver", &csi.ListSnapshotsRequest{SnapshotId: "other/gv0/snap"}, nil},
	} {
		if got := r.listed(test.filter); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	restored, err := r.tryCreate(func() *csi.CreateVolumeRequest {
		wanted := from(&csi.Snapshot{SnapshotId: ofA[2]})
		wanted.Parameters["volume"] = one
		return wanted
	}())
	if err != nil || !strings.HasPrefix(restored.GetVolumeId(), testcluster.Name+"/"+one+"/") {
		t.Errorf("restored to the other Gluster volume: %v, %v", restored, err)
	}
}

func TestWhatCannotBeCopiedIsRefused(t *testing.T) {
	r := onGV0(t)
	v, other := r.create(), r.create()
	name := "snap-" + nameOf(v)
	s := r.snapshot(v, name)
	_, err := r.trySnapshot(other, name)
	code(t, err, codes.AlreadyExists, "not of volume "+other.GetVolumeId())
	_, err = r.trySnapshot(&csi.Volume{VolumeId: testcluster.Name + "/gv0/none"}, newName())
	code(t, err, codes.NotFound)
	_, err = r.trySnapshot(v, newName(), "volum", "gv0")
	code(t, err, codes.InvalidArgument, `did you mean "volume"`)
	_, err = r.trySnapshot(v, newName(), "volume", "gv9")
	code(t, err, codes.FailedPrecondition, "VolumeSnapshotClass")
	small := from(s)
	small.CapacityRange.RequiredBytes = 1 << 10
	_, err = r.tryCreate(small)
	code(t, err, codes.OutOfRange, "ask for more")
	none := from(s)
	none.VolumeContentSource = &csi.VolumeContentSource{}
	_, err = r.tryCreate(none)
	code(t, err, codes.InvalidArgument)
}

func TestACloneIsWholeWhileItsSourceIsInUse(t *testing.T) {
	r := onGV0(t)
	v := r.create()
	at := r.publish(v, "source")
	defer r.unpublish(v, at)
	write(t, filepath.Join(at, "data"), "dear")
	if err := unix.Setxattr(at, "user.kept", []byte("yes"), 0); err != nil {
		t.Fatal(err)
	}
	wanted := of(v)
	wanted.Parameters["uid"] = "1005"
	clone, err := r.tryCreate(wanted)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.tryCreate(wanted)
	if err != nil || again.GetVolumeId() != clone.GetVolumeId() || again.GetContentSource().GetVolume().GetVolumeId() != v.GetVolumeId() {
		t.Errorf("asked again: %v, %v", again, err)
	}
	place := r.publish(clone, "clone")
	defer r.unpublish(clone, place)
	if got := owner(t, place); got != "1005:0 2770" {
		t.Errorf("its owner is %s", got)
	}
	write(t, filepath.Join(at, "data"), "changed")
	if got, err := os.ReadFile(filepath.Join(place, "data")); err != nil || string(got) != "dear" {
		t.Errorf("it has %q, %v", got, err)
	}
	value := make([]byte, 8)
	if n, err := unix.Getxattr(place, "user.kept", value); err != nil || string(value[:n]) != "yes" {
		t.Errorf("its attribute is %q, %v", value[:max(n, 0)], err)
	}
}
