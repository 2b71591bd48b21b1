// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package lifecycle_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestWhatIsUnusedGoesUnlessSomethingIsInIt(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Recent = 0
	for _, name := range []string{"empty", "full"} {
		volumes.Create(t, s, volumes.Spec(name))
	}
	volumes.StopAt(volumes.Open(t, mountpoint), "create: directory made", func(s *lifecycle.Volumes) { _, _ = s.Create(volumes.Spec("half")) })
	volumes.Must(t, os.WriteFile(filepath.Join(mountpoint, "full", "dear"), nil, 0o600))
	volumes.Must(t, s.DeleteUnused(volumes.Background, "empty"), s.DeleteUnused(volumes.Background, "half"), s.DeleteUnused(volumes.Background, "never"))
	volumes.Wants(t, s.DeleteUnused(volumes.Background, "full"), volume.ErrForeign, "another Gluster volume")
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready full", "trash empty")
}
