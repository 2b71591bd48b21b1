// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
)

// EnsurePrivileged is Ensure for the client of gluster.PrivilegedOptions, through which limits are set. It is for the
// controller's work, on directories held by descriptors that are closed when it ends: nothing may be bound from this
// client, since its files know no limit. A Host whose clients are a mounter's has none (ErrOption): what serves a node
// has no such client.
func (h *Host) EnsurePrivileged(ctx context.Context, v gluster.Volume) (*Client, error) {
	if h.mounter != nil {
		return nil, fmt.Errorf("%w: %s: the client that sets limits is the controller's alone, and this process is a node's",
			gluster.ErrOption, v)
	}
	return h.ensure(ctx, v, gluster.PrivilegedOptions())
}

// ensure is Ensure with options that are checked.
func (h *Host) ensure(ctx context.Context, v gluster.Volume, options []string) (*Client, error) {
	clusters, err := h.clusters.Current()
	if err != nil {
		return nil, err
	}
	cluster, err := clusters.Find(v)
	if err != nil {
		return nil, err
	}
	s := h.slot(v, options)
	const attempts = 3 // each meets a client that ends at that moment
	for range attempts {
		var c *Client
		if c, err = s.ensure(ctx, cluster); err != nil {
			return nil, err
		}
		if err = c.Probe(ctx); err == nil {
			return c, nil
		}
		if !errors.Is(err, probe.ErrGone) {
			return nil, err
		}
		s.state.with(func(s *slotState) { s.drop(c) })
	}
	return nil, err
}
