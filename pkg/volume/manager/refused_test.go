// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package manager

import (
	"math"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// What was there before, under the name that is asked for, stays when the one who was refused has its volume elsewhere.
func TestAVolumeThatWasInTheWayOfACreationStays(t *testing.T) {
	m, _, v := managerOf(t)
	_, err := m.Create(volumes.Background, v, volumes.Spec("vol"))
	volumes.Must(t, err)
	other, larger := volumes.Spec("vol"), volumes.Spec("vol")
	other.Path = "elsewhere"
	larger.Required = math.MaxInt64 / 2
	for _, refused := range []volume.Spec{other, larger} {
		if _, err := m.Create(volumes.Background, v, refused); err == nil {
			t.Fatalf("%+v is the same", refused)
		}
	}
	m.tries.end("vol", gluster.Volume{Cluster: v.Cluster, Name: "another"}, true)
	volumes.Must(t, m.giveUpUnused(volumes.Background, v))
	if _, err := m.Get(volumes.Background, volume.ID{Volume: v, ID: "vol"}); err != nil {
		t.Errorf("it is gone: %v", err)
	}
}
