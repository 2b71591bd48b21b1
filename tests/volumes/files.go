// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volumes

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// RecordFile is where the record of a volume is, below the mount point.
func RecordFile(id string) string {
	return filepath.Join(volume.OwnDir, owndir.VolumesDir, ShardOf(id), id+store.RecordSuffix)
}

// TrashFile is where a file of a trash entry is.
func TrashFile(entry string) string {
	return filepath.Join(volume.OwnDir, owndir.TrashDir, ShardOf(volume.IDOfStamp(entry)), entry)
}

// ClaimFile is where the claim of a path is.
func ClaimFile(path string) string {
	return filepath.Join(volume.OwnDir, owndir.PathsDir, ShardOf(volume.PathClaimName(path)), volume.PathClaimName(path))
}

// CreatingFile is where a file of a creation is that is taken back.
func CreatingFile(stamp, suffix string) string {
	return filepath.Join(volume.OwnDir, owndir.CreatingDir, ShardOf(volume.IDOfStamp(stamp)), stamp+suffix)
}

// BringBack brings back what a server has forgotten that it went: it has the name before and the name after then, both
// of one file.
func BringBack(t *testing.T, mountpoint, now, before string) {
	t.Helper()
	Must(t, os.Link(filepath.Join(mountpoint, now), filepath.Join(mountpoint, before)))
}

// ForgetGeneration makes of a record one of a driver that had no generations.
func ForgetGeneration(t *testing.T, at string) {
	t.Helper()
	data, err := os.ReadFile(at)
	Must(t, err)
	var record map[string]any
	Must(t, json.Unmarshal(data, &record))
	delete(record, "generation")
	data, err = json.MarshalIndent(record, "", "  ")
	Must(t, err, os.WriteFile(at, data, 0o600))
}

// ShardOf is the directory that has what belongs to an ID or to the name of a path's claim.
func ShardOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return fmt.Sprintf("%02x", sum[0]%64)
}
