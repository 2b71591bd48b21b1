// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/clientlog"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
)

// Refusals returns why bricks refuse the client, by the names of their translators, as far as its log tells.
func (c *Client) Refusals() map[string]string { return clientlog.Refusals(c.slot.dir.Log()) }

// RefusalCure says what to do where a brick on a server refuses this host for these reasons, by which address it knows
// this host. Clients that were refused are replaced when they are let in again: see pkg reconnect.
func RefusalCure(v gluster.Volume, server string, refusals map[string]string) string {
	from := ""
	if address := glusterd.SourceAddress(server); address != "" {
		from = ", which comes from " + address
	}
	why := strings.Join(slices.Compact(slices.Sorted(maps.Values(refusals))), "; ")
	return fmt.Sprintf("its bricks refuse this node%s: %s: see `gluster volume get %s all | grep -e auth -e allow-insecure -e ssl` on a server",
		from, why, v.Name)
}

// refusal is RefusalCure of the bricks that refuse the client now, "" where none does.
func (c *Client) refusal() string {
	refusals := c.Refusals()
	reading := c.Observed().Reading
	if len(refusals) == 0 || reading == nil {
		return ""
	}
	for i, b := range reading.Graph.Bricks {
		if refusals[b.Translator] != "" && !reading.Bricks[i].Connected {
			return RefusalCure(c.slot.volume, b.Host, refusals)
		}
	}
	return ""
}
