// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// recordFile is where the record of a volume is, below the mount point; trashFile where a file of an entry, claimFile where
// the claim of a path.
func recordFile(id string) string {
	return filepath.Join(ownDir, volumesDir, shardOf(id), id+recordSuffix)
}

func trashFile(entry string) string {
	return filepath.Join(ownDir, trashDir, shardOf(stampedID(entry)), entry)
}

func claimFile(path string) string {
	return filepath.Join(ownDir, pathsDir, shardOf(pathName(path)), pathName(path))
}

// creatingFile is where a file of a creation is that is taken back.
func creatingFile(stamp, suffix string) string {
	return filepath.Join(ownDir, creatingDir, shardOf(stampedID(stamp)), stamp+suffix)
}

// again brings back what a server has forgotten that it went: it has the name before and the name after then, both of
// one file.
func again(t *testing.T, mountpoint, now, before string) {
	t.Helper()
	must(t, os.Link(filepath.Join(mountpoint, now), filepath.Join(mountpoint, before)))
}

func older(t *testing.T, at string) {
	t.Helper()
	data, err := os.ReadFile(at)
	must(t, err)
	var record map[string]any
	must(t, json.Unmarshal(data, &record))
	delete(record, "generation")
	data, err = json.MarshalIndent(record, "", "  ")
	must(t, err, os.WriteFile(at, data, 0o600))
}

// shardOf is the directory that has what belongs to an ID or to the name of a path's claim.
func shardOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return fmt.Sprintf("%02x", sum[0]%64)
}
