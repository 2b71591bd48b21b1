// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/klog/v2"

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
	m.Parameters = withoutSidecars(request.GetParameters())
	if isTooMuch(m) {
		return nil
	}
	return m
}

func isTooMuch(m *volume.MadeFor) bool {
	text, err := json.Marshal(m)
	return err != nil || len(text) > maxMadeFor
}

// claimTimeout bounds how long a volume waits for what its record says of its claim. It is made without, too.
const claimTimeout = 3 * time.Second

// addClaim adds what no request says: class and labels of the claim, if that is the one that the volume is made for, as far as
// there is room in a record.
func (c *controller) addClaim(ctx context.Context, name string, m *volume.MadeFor) {
	if c.askClaim == nil || m == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	claim, err := c.askClaim(ctx, m.Namespace, m.Claim)
	switch {
	case err != nil:
		klog.FromContext(ctx).Info("Class and labels of a claim are not recorded", "claim", m.Namespace+"/"+m.Claim, "why", err.Error())
		return
	case !strings.HasSuffix(name, claim.UID): // external-provisioner's names; else it is a later one of this name
		return
	}
	if m.Class = claim.Class; isTooMuch(m) {
		m.Class = ""
	}
	if m.Labels = claim.Labels; isTooMuch(m) {
		m.Labels = nil
	}
}

// snapshotMadeFor is the VolumeSnapshot that a request is made for; nil where it says of none.
func snapshotMadeFor(request *csi.CreateSnapshotRequest) *volume.SnapshotMadeFor {
	m := volume.SnapshotMadeFor{
		Namespace: request.GetParameters()["csi.storage.k8s.io/volumesnapshot/namespace"],
		Name:      request.GetParameters()["csi.storage.k8s.io/volumesnapshot/name"],
	}
	if m.Namespace == "" || m.Name == "" {
		return nil
	}
	return &m
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
