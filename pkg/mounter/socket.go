// SPDX-License-Identifier: Apache-2.0

package mounter

import (
	"context"
	"net"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/rootsocket"
)

// Listen is rootsocket.Listen for the node plugin: a host has one mounter.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	return rootsocket.Listen(ctx, path, "the node plugin")
}
