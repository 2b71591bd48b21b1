// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/documented"
)

func TestEveryParameterIsDocumented(t *testing.T) {
	// Keys with a slash are those that the sidecars add.
	added := func(key string) bool { return strings.Contains(key, "/") }
	documented.Compare(t, "StorageClass `parameters`", slices.DeleteFunc(slices.Collect(maps.Keys(setters)), added))
	documented.Compare(t, "VolumeSnapshotClass `parameters`", slices.Collect(maps.Keys(snapshotSetters)))
	documented.Compare(t, "`volumeAttributes` of a static PersistentVolume", slices.Collect(maps.Keys(contextSetters)))
}
