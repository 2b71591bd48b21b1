// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

func FuzzParseAttributesFile(f *testing.F) {
	for _, seed := range []string{"", "a.1", "a.20261126T120000.000000000Z.1", "a.b.20261126T120000.000000000Z.-1", "a.20261126T120000.000000000Z.01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		a, ok := parseAttributesFile(owndir.File{Name: name})
		if ok && attributesName(a.stamp, a.generation) != name {
			t.Errorf("%q is read as %s of generation %d", name, a.stamp, a.generation)
		}
	})
}
