// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// modifyWithin is a call as external-resizer makes it, which has less time than the change needs.
func (r *rig) modifyWithin(timeout time.Duration, id string, parameters map[string]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_, err := r.controller.ControllerModifyVolume(ctx, &csi.ControllerModifyVolumeRequest{VolumeId: id, MutableParameters: parameters})
	return err
}

func TestAnOwnerIsChangedThroughoutAVolume(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), name))
	v := r.create("uid", "1001")
	target := r.publish(v, "pod")
	const directories, files = 20, 60
	for d := range directories {
		dir := filepath.Join(target, fmt.Sprint(d))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range files {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(f)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	id := v.GetVolumeId()
	code(t, r.modify(id, "recursive", "true"), codes.InvalidArgument, "uid and gid")
	code(t, r.modify(id, "recursive", "yes", "uid", "1"), codes.InvalidArgument, "neither true nor false")
	wanted := map[string]string{"uid": "1002", "gid": "1003", "recursive": "true"}
	// Who asks is told how far it is, and that is not final for external-resizer. Other calls of the volume do not wait.
	testcluster.Eventually(t, patience, func() error {
		err := r.modifyWithin(300*time.Millisecond, id, wanted)
		if status.Code(err) == codes.Aborted && strings.Contains(err.Error(), "files so far") {
			return nil
		}
		return fmt.Errorf("it says %w", err)
	})
	_, err := r.expand(id, 2<<30, 0)
	code(t, err, codes.OK)

	// A process that ends takes the change along; the repetition does the rest.
	r.stop()
	r = serveIn(t, r.dir)
	testcluster.Eventually(t, 3*patience, func() error { return r.modifyWithin(2*time.Second, id, wanted) })
	err = filepath.WalkDir(target, func(path string, _ os.DirEntry, err error) error {
		if err == nil && !strings.HasPrefix(owner(t, path), "1002:1003 ") {
			err = fmt.Errorf("%s has %s", path, owner(t, path))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	// What is made by another user since stays: nobody walks again unasked, and does so when asked.
	late := filepath.Join(target, "late")
	write(t, late, "")
	code(t, r.modify(id, "uid", "1002"), codes.OK)
	if got := owner(t, late); !strings.HasPrefix(got, "0:") {
		t.Errorf("a new file has %s", got)
	}
	testcluster.Eventually(t, patience, func() error { return r.modifyWithin(2*time.Second, id, wanted) })
	testcluster.Eventually(t, patience, func() error {
		if got := owner(t, late); !strings.HasPrefix(got, "1002:1003 ") {
			return fmt.Errorf("a new file has %s", got)
		}
		return nil
	})
	r.unpublish(v, target)
}
