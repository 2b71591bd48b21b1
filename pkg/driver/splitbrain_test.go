// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/splitbrain"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Each side of a cut cable has written to a file, and made another one. Who meets them is told, until they are settled.
func TestFilesInSplitBrainAreReportedUntilTheyAreSettled(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), name), monitored)
	v, other := r.create(), r.create()
	pod, beside := r.publish(v, "pod"), r.publish(other, "other")
	// Not by the pod: its client, which the cut is none for here, would go on with the brick that it has read from.
	before, err := c.Mount(t.Context(), name)
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(before.Path, nameOf(v), "data"), []byte("before"), 0o600), before.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	for side, content := range []string{"first", "the second"} {
		m, err := c.MountSide(t.Context(), name, side)
		if err == nil {
			err = errors.Join(
				os.WriteFile(filepath.Join(m.Path, nameOf(v), "data"), []byte(content), 0o600),
				os.WriteFile(filepath.Join(m.Path, nameOf(v), "made"), []byte(content), 0o600), m.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	metric := func(n int) string {
		return fmt.Sprintf(`glusterfs_csi_split_brain_files{cluster=%q,volume=%q} %d`, testcluster.Name, name, n)
	}
	read := func() (err error) {
		for _, file := range []string{"data", "made"} {
			_, readErr := os.ReadFile(filepath.Join(pod, file))
			err = errors.Join(err, readErr)
		}
		return err
	}
	testcluster.Eventually(t, patience, func() error { // the pod's client remembers what it knew for a moment
		if err := read(); !errors.Is(err, unix.EIO) {
			return fmt.Errorf("it can be read: %w", err)
		}
		return errors.Join(
			shows(r.volumeHealth(v.GetVolumeId(), pod), fmt.Sprintf("DEGRADED SplitBrain: 2 /%s/data /%s/made volume split-brain", nameOf(v), nameOf(v))),
			shows(r.volumeHealth(other.GetVolumeId(), beside)))
	})
	r.wantStatus("/metrics", http.StatusOK, metric(2))

	id, err := volume.ParseID(v.GetVolumeId())
	if err != nil {
		t.Fatal(err)
	}
	newest, err := splitbrain.ParseKeep("newest")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := r.context()
	defer cancel()
	err = r.volumes.SplitBrain(ctx, id, func(v *splitbrain.Volume) error {
		files, _, err := v.Find(ctx, 10)
		for _, f := range files {
			_, settleErr := v.Settle(ctx, f, newest)
			err = errors.Join(err, settleErr)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	testcluster.Eventually(t, patience, func() error {
		return errors.Join(read(), shows(r.volumeHealth(v.GetVolumeId(), pod)))
	})
	r.wantStatus("/metrics", http.StatusOK, metric(0))
	r.unpublish(v, pod)
	r.unpublish(other, beside)
	code(t, r.delete(v), codes.OK)
}
