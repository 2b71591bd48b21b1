// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// asUser runs a command in a directory as a container's user would: without capabilities.
func asUser(dir string, uid, gid uint32, name string, args ...string) error {
	command := exec.Command(name, args...)
	command.Dir = dir
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	output, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(output))
	}
	return err
}

func TestTheOwnerIsSetAtCreationAndMendedAtPublish(t *testing.T) {
	r := onGV0(t)
	for name, test := range map[string]struct {
		parameters []string
		created    string
		mended     string // after an application made it 7:8 0700
	}{
		"by default":  {nil, "0:0 2770", "7:8 0700"},
		"by uid":      {[]string{"uid", "1001"}, "1001:0 2770", "1001:8 0700"},
		"by uid, gid": {[]string{"uid", "1001", "gid", "2002"}, "1001:2002 2770", "1001:2002 0700"},
		"by all":      {[]string{"uid", "1001", "gid", "2002", "mode", "0750"}, "1001:2002 0750", "1001:2002 0750"},
		"at the top":  {[]string{"uid", "4294967294", "gid", "4294967294"}, "4294967294:4294967294 2770", "4294967294:4294967294 0700"},
	} {
		t.Run(name, func(t *testing.T) {
			v := r.create(test.parameters...)
			pod := r.publish(v, "pod")
			if got := owner(t, pod); got != test.created {
				t.Errorf("it is %s, want %s", got, test.created)
			}
			if err := errors.Join(os.Chown(pod, 7, 8), os.Chmod(pod, 0o700)); err != nil {
				t.Fatal(err)
			}
			reader := r.publish(v, "reader", readOnly)
			if got := owner(t, pod); got != "7:8 0700" {
				t.Errorf("a read-only publish made it %s", got)
			}
			code(t, r.tryPublish(v, pod), codes.OK)
			if got := owner(t, pod); got != test.mended {
				t.Errorf("mended it is %s, want %s", got, test.mended)
			}
			r.unpublish(v, pod, reader)
			code(t, r.delete(v), codes.OK)
		})
	}
}

func TestTheOperatorsContainerWrites(t *testing.T) {
	r := onGV0(t)
	for name, parameters := range map[string][]string{"with the defaults": nil, "with uid 1001": {"uid", "1001", "gid", "0"}} {
		t.Run(name, func(t *testing.T) {
			v := r.create(parameters...)
			a, b := r.publish(v, "a"), r.publish(v, "b")
			if err := errors.Join(asUser(a, 1001, 0, "touch", "test"), asUser(b, 1001, 0, "cat", "test")); err != nil {
				t.Error(err)
			}
			if err := asUser(a, 1002, 1002, "ls"); err == nil {
				t.Error("a stranger could look in")
			}
			r.unpublish(v, a, b)
			code(t, r.delete(v), codes.OK)
		})
	}
}

func TestAGroupIsGrantedOnce(t *testing.T) {
	r := onGV0(t)
	v := r.create("gid", "7", "mode", "0700")
	pod := r.publish(v, "pod")
	write(t, filepath.Join(pod, "f"), "x")
	reader := r.publish(v, "reader", group("2002"), readOnly)
	if got := owner(t, filepath.Join(pod, "f")); got != "0:7 0600" && got != "0:0 0600" {
		t.Errorf("a read-only publish made the file %s", got)
	}
	granted := r.publish(v, "granted", group("2002")) // and wins over the class
	for path, want := range map[string]string{pod: "0:2002 2770", filepath.Join(pod, "f"): "0:2002 0660"} {
		if got := owner(t, path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if err := asUser(granted, 1001, 2002, "touch", "f", "new"); err != nil {
		t.Error(err)
	}
	// The root says that all is done: nothing else is looked at.
	if err := os.Chmod(filepath.Join(pod, "f"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := r.publish(v, "second", group("2002"))
	if got := owner(t, filepath.Join(pod, "f")); got != "0:2002 0600" {
		t.Errorf("the second time the file became %s", got)
	}
	if n := strings.Count(r.log.String(), "Granting a volume to a group"); n != 1 {
		t.Errorf("it was walked %d times", n)
	}
	r.unpublish(v, pod, reader, granted, second)
	code(t, r.delete(v), codes.OK)
}

func TestALongGrantGoesOnAndIsJoined(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{}) // what is on gv0, other tests walk through
	r := serve(t, clustersYAML(c.Servers(), name))
	v := r.create()
	pod := r.publish(v, "pod")
	const many = 1200
	files(t, pod, many)
	testcluster.Eventually(t, patience, func() error { // on a busy machine it may not be begun in this time
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := r.node.NodePublishVolume(ctx, publishRequest(v, r.target("granted"), group("2002")))
		return expect(err, codes.Aborted, nameOf(v), "granted to group 2002", "try again")
	})
	nothingAt(t, r.target("granted"))
	if owner(t, pod) != "0:0 2770" {
		t.Fatal("it was over before the deadline: more files are needed")
	}
	// It waits for nobody who only reads.
	reader := r.publish(v, "reader", readOnly)
	if owner(t, pod) != "0:0 2770" {
		t.Fatal("a read-only publish came after the grant")
	}
	var both errgroup.Group
	for _, name := range []string{"granted", "beside"} {
		both.Go(func() error { return r.tryPublish(v, r.target(name), group("2002")) })
	}
	if err := both.Wait(); err != nil {
		t.Error(err)
	}
	for i := range many {
		if got := owner(t, filepath.Join(pod, fmt.Sprint("f", i))); got != "0:2002 0660" {
			t.Fatalf("file %d is %s", i, got)
		}
	}
	if n := strings.Count(r.log.String(), "Granting a volume to a group"); n != 1 {
		t.Errorf("it was walked %d times", n)
	}
	r.unpublish(v, pod, reader, r.target("granted"), r.target("beside"))
	code(t, r.delete(v), codes.OK)
}

func TestAStaticVolumeIsPublishedAndNeverDeleted(t *testing.T) {
	r := onGV0(t)
	name := newName()
	whole := static("gv0", "/")
	root := r.publish(whole, "whole")
	if err := os.MkdirAll(filepath.Join(root, name, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	v := static("gv0", name+"/data")
	v.VolumeContext["uid"] = "1001"
	pod := r.publish(v, "pod")
	if err := asUser(pod, 1001, 1001, "touch", "f"); err != nil {
		t.Error(err)
	}
	code(t, r.tryPublish(&csi.Volume{VolumeId: v.GetVolumeId()}, r.target("pathless")), codes.NotFound, nameOf(v))
	r.unpublish(v, pod)
	code(t, r.delete(v), codes.OK)
	stored(t, healthy(t), "gv0", name, name)
	if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
		t.Fatal(err)
	}
	code(t, r.tryPublish(v, r.target("gone")), codes.NotFound, nameOf(v), "removed by hand")
	r.unpublish(whole, root)
}
