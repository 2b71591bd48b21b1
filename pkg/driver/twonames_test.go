// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// One brick has forgotten that a volume was deleted: its record and its directory are back, and the other brick has the
// directory in the trash. It is published, and whoever looks is told.
func TestAVolumeWithTwoNamesIsPublishedAndReported(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	clusters := clustersYAML(c.Servers(), name)
	before := serve(t, clusters)
	v, other := before.create(), before.create()
	brick := c.BrickPath(name, 0)
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", brick, brick+".kept").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	code(t, before.delete(v), codes.OK)
	if err := errors.Join(c.KillBrick(name, 0), os.RemoveAll(brick), os.Rename(brick+".kept", brick), c.StartBrick(name, 0)); err != nil {
		t.Fatal(err)
	}

	r := serve(t, clusters, monitored)
	pod, beside := r.publish(v, "pod"), r.publish(other, "other")
	testcluster.Eventually(t, patience, func() error {
		return errors.Join(
			shows(r.volumeHealth(v.GetVolumeId(), pod), fmt.Sprintf("DEGRADED TwoNames: %s %s %s volume check", nameOf(v), brick, c.BrickPath(name, 1))),
			shows(r.volumeHealth(other.GetVolumeId(), beside)), shows(r.storageHealth()))
	})
	r.wantStatus("/metrics", http.StatusOK, fmt.Sprintf(`glusterfs_csi_volume_problems{cluster=%q,kind="two-names",volume=%q} 1`, testcluster.Name, name))
	r.unpublish(v, pod, beside)
}
