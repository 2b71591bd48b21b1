// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// access is what a volume capability asks for.
type access struct {
	flags   mount.Flags
	options []string // of the client
	// single is SINGLE_NODE_SINGLE_WRITER: one target on the node, no more.
	single bool
	group  *uint32
}

// makeStrict asks for a client that is strict; see gluster.Strict. It fails where the mount options say otherwise.
func (a *access) makeStrict() error {
	if err := gluster.CheckStrict(a.options); err != nil {
		return err
	}
	a.options = append(a.options, gluster.Strict)
	return nil
}

func (a *access) isStrict() bool { return slices.Contains(a.options, gluster.Strict) }

// parseCapability checks one capability. Every access mode is offered, since GlusterFS
// lets many nodes write; blocks are not.
func parseCapability(c *csi.VolumeCapability) (access, error) {
	if c == nil {
		return access{}, invalid("the volume capability is missing")
	}
	if c.GetBlock() != nil {
		return access{}, invalid("volumeMode: Block is not offered: a GlusterFS volume is a directory; use volumeMode: Filesystem")
	}
	if c.GetMount() == nil {
		return access{}, invalid("the volume capability has no access type")
	}
	a := access{}
	switch mode := c.GetAccessMode().GetMode(); mode {
	case csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY, csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY:
		a.flags |= mount.ReadOnly
	case csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER:
		a.single = true
	case csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER,
		csi.VolumeCapability_AccessMode_MULTI_NODE_SINGLE_WRITER, csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER:
	default:
		return access{}, invalid("the access mode %s is not one that this driver knows", mode)
	}
	for _, option := range c.GetMount().GetMountFlags() {
		if flag, ok := mount.ParseFlag(option); ok {
			a.flags |= flag
		} else {
			a.options = append(a.options, option)
		}
	}
	if err := gluster.CheckOptions(a.options); err != nil {
		return access{}, err
	}
	if group := c.GetMount().GetVolumeMountGroup(); group != "" {
		gid, err := parseOwnerID(group)
		if err != nil {
			return access{}, invalid("volume mount group: %v", err)
		}
		a.group = &gid
	}
	return a, nil
}

// checkCapabilities returns the error of the first capability that is not offered, for a
// volume that is to be strict or not.
func checkCapabilities(capabilities []*csi.VolumeCapability, strict bool) error {
	if len(capabilities) == 0 {
		return invalid("the volume capabilities are missing")
	}
	for _, c := range capabilities {
		a, err := parseCapability(c)
		if err == nil && strict {
			err = a.makeStrict()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
