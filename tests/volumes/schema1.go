// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volumes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// MakeSchema1 makes a volume as the first version of the driver did: marked, with a record that has no gfid.
func MakeSchema1(t *testing.T, s *lifecycle.Volumes, id, path string) (stamp string) {
	t.Helper()
	if _, err := s.EnsureShard(owndir.VolumesDir, id); err != nil {
		t.Fatal(err)
	}
	created := time.Now().UTC()
	record := fmt.Sprintf(`{"schema": 1, "id": %q, "name": %q, "path": %q, "capacity": 1073741824, "owner": {}, "onDelete": "trash", "origin": "created", "created": %q}`,
		id, id, path, created.Format(time.RFC3339Nano))
	root := RootOf(s)
	stamp = volume.StampOf(id, created)
	for _, parent := range creation.Ancestors(path) {
		at := filepath.Join(root, parent)
		if err := os.Mkdir(at, 0o755); err == nil {
			if err := unix.Setxattr(at, "trusted.csi.parent", []byte("1"), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := filepath.Join(root, path)
	if err := errors.Join(
		os.Mkdir(at, 0o770), unix.Setxattr(at, store.MarkXattr, []byte(stamp), 0), unix.Chmod(at, 0o2770),
		os.WriteFile(filepath.Join(root, volume.OwnDir, owndir.VolumesDir, id+store.RecordSuffix), []byte(record), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return stamp
}
