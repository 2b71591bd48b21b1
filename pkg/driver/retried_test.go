// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// A creation ends after its caller has given up, and is repeated on another Gluster volume.
func TestAClassThatChangedItsGlusterVolumeLeavesNoVolumeBehind(t *testing.T) {
	c, first := ownVolume(t, testcluster.VolumeOptions{})
	_, second := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), first, second))
	code(t, r.delete(r.create("volume", first)), codes.OK) // its client is there
	name := r.lateVolume(c, first)
	v, err := r.tryCreate(request(name, "volume", second))
	if err != nil {
		t.Fatal(err)
	}
	const round = time.Minute // of the maintenance
	testcluster.Eventually(t, round+patience, func() error {
		if slices.Contains(traces(t, c, first, name), record(name)) {
			return fmt.Errorf("volume %s is on %s still", name, first)
		}
		return nil
	})
	stored(t, c, second, name, name, record(name))
	code(t, r.delete(v), codes.OK)
}

// lateVolume is a name of which a volume was made although CreateVolume has failed.
func (r *rig) lateVolume(c *testcluster.Cluster, on string) string {
	r.t.Helper()
	for deadline := time.Millisecond; deadline < time.Second; deadline += time.Millisecond {
		name := newName()
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		_, err := r.controller.CreateVolume(ctx, request(name, "volume", on))
		cancel()
		if err == nil {
			continue
		}
		var found []string
		testcluster.Eventually(r.t, patience, func() error { // what has begun has come to its end
			found = traces(r.t, c, on, name)
			if slices.ContainsFunc(found, func(path string) bool { return strings.Contains(path, "/creating/") }) {
				return errors.New("it is being made")
			}
			return nil
		})
		if slices.Contains(found, record(name)) {
			return name
		}
	}
	r.t.Fatal("no creation came to its end after its caller had given up")
	return ""
}

func TestTheHourlyCheckIsAMetric(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	before := serve(t, clustersYAML(c.Servers(), name))
	gone, kept := before.create(), before.create()
	m, err := c.Mount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(m.Path, nameOf(gone))), m.Close()); err != nil {
		t.Fatal(err)
	}
	r := serve(t, clustersYAML(c.Servers(), name), monitored)
	of := func(kind string, n int) string {
		return fmt.Sprintf(`glusterfs_csi_volume_problems{cluster=%q,kind=%q,volume=%q} %d`, testcluster.Name, kind, name, n)
	}
	r.wantStatus("/metrics", http.StatusOK, of("no-directory", 1), of("no-volume", 0))
	code(t, errors.Join(r.delete(gone), r.delete(kept)), codes.OK)
}
