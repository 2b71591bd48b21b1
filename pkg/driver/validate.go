// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// compareParameters holds a class's parameters against a volume that is there. It returns those that were compared and
// fit, or why the volume is not what they say. What no record has is not compared: whose claim it was made for.
func compareParameters(request *csi.ValidateVolumeCapabilitiesRequest, id volume.ID, r volume.Record) (fit map[string]string, reason error) {
	raw := request.GetParameters()
	p, err := parseParameters(raw)
	if err != nil {
		return nil, err
	}
	known := map[string]string{
		"cluster": id.Volume.Cluster, "volume": id.Volume.Name, "onDelete": string(r.OnDelete), "quota": string(r.Quota.OrAuto()),
		"uid": number(r.Owner.UID), "gid": number(r.Owner.GID), "mode": "",
	}
	if r.Owner.Mode != nil {
		known["mode"] = r.Owner.Mode.String()
	}
	asked := map[string]string{"uid": number(p.owner.UID), "gid": number(p.owner.GID)}
	if p.owner.Mode != nil {
		asked["mode"] = p.owner.Mode.String()
	}
	// Of these no record tells, but what the node is told.
	for key, usual := range map[string]string{consistencyKey: relaxed, onDeathKey: report} {
		if value, has := request.GetVolumeContext()[key]; has {
			known[key] = value
		} else if raw[key] != usual && request.GetVolumeContext() != nil {
			known[key] = usual
		}
	}
	if p.vars.PVName == "" {
		p.vars.PVName = volume.IDFor(r.Name)
	}
	if path, err := volume.RenderPath(p.path, p.vars); err == nil {
		known["path"], asked["path"] = r.Path, path
	}
	for key, value := range raw {
		have, compared := known[key]
		if !compared {
			continue
		}
		if other, isParsed := asked[key]; isParsed {
			value = other
		}
		if have != value {
			return nil, invalid("StorageClass parameter %s: the volume has %q, not %q", key, have, value)
		}
		if fit == nil {
			fit = map[string]string{}
		}
		fit[key] = raw[key]
	}
	return fit, nil
}

// number is a uid or gid, "" where none was asked for.
func number(id *uint32) string {
	if id == nil {
		return ""
	}
	return fmt.Sprint(*id)
}
