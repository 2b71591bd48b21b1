// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestWhatIsUsedOfALimitIsKnown(t *testing.T) {
	_, name, r := onLimitedVolume(t, testcluster.VolumeOptions{})
	limited, free := r.createSized(20*mib), r.createSized(20*mib, "quota", "none")
	target := r.publish(limited, "pod")
	if err := os.WriteFile(filepath.Join(target, "file"), make([]byte, 5*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	v := gluster.Volume{Cluster: testcluster.Name, Name: name}
	testcluster.Eventually(t, patience, func() error {
		ctx, cancel := r.context()
		defer cancel()
		all, err := r.volumes.ListOn(ctx, v, "", 10)
		var used map[string]int64
		if err == nil {
			used, err = r.volumes.Used(ctx, v, all)
		}
		if bytes := used[nameOf(limited)]; err != nil || len(used) != 1 || bytes < 5*mib || bytes > 6*mib {
			return fmt.Errorf("of %d volumes are used %v, %w", len(all), used, err)
		}
		return nil
	})
	r.unpublish(limited, target)
	code(t, r.delete(free), codes.OK)
}

func TestTheStateOfQuotaIsAMetric(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), name), monitored)
	r.wantStatus("/metrics", http.StatusOK, fmt.Sprintf(`glusterfs_csi_quota_state{cluster=%q,state="off",volume=%q} 1`, testcluster.Name, name))
}
