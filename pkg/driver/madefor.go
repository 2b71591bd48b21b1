// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// maxMadeFor bounds what a record keeps of a request, in bytes: the record with it stays far below its own limit.
const maxMadeFor = 16 << 10

// accessModes are those of external-provisioner: what Kubernetes' modes become in CSI, for a driver with the capability
// SINGLE_NODE_MULTI_WRITER and for one without.
var accessModes = map[csi.VolumeCapability_AccessMode_Mode]string{
	csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER:        "ReadWriteOnce",
	csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER:  "ReadWriteOnce",
	csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER: "ReadWriteOncePod",
	csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY:    "ReadOnlyMany",
	csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER:   "ReadWriteMany",
}

// madeFor is what a request says of the objects that it is made for; nil where it says of no claim, or far too much.
func madeFor(request *csi.CreateVolumeRequest, p parameters) *volume.MadeFor {
	if p.vars.PVCName == "" {
		return nil
	}
	m := &volume.MadeFor{Namespace: p.vars.PVCNamespace, Claim: p.vars.PVCName}
	for _, c := range request.GetVolumeCapabilities() {
		if mode, ok := accessModes[c.GetAccessMode().GetMode()]; ok {
			m.AccessModes = append(m.AccessModes, mode)
		}
		m.MountOptions = c.GetMount().GetMountFlags() // each has the same
	}
	m.Parameters = maps.Clone(request.GetParameters())
	maps.DeleteFunc(m.Parameters, func(key, _ string) bool { return strings.Contains(key, "/") })
	if text, err := json.Marshal(m); err != nil || len(text) > maxMadeFor {
		return nil
	}
	return m
}

// RecordedContext is VolumeContext with what the volume's own request asked of consistency and onClientDeath, where that is recorded.
func RecordedContext(r volume.Record) map[string]string {
	values := VolumeContext(r)
	for key, value := range map[string]string{consistencyKey: strict, onDeathKey: restart} {
		if r.MadeFor != nil && r.MadeFor.Parameters[key] == value {
			values[key] = value
		}
	}
	return values
}
