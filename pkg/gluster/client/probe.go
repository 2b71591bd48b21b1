// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/clientlog"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/starts"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/waiting"
)

// Probe returns nil if the client has answered within the last second or does so now. At most one question to a
// client is under way, however many callers wait: its system call may block until a server returns, and no deadline
// reaches it there. Errors: ErrNotConnected; ErrUnreachable, with ctx's error if there was no answer in time (at most
// 50 s).
func (c *Client) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	defer waiting.For(ctx, "an answer of the client of %s (process %d), which waits for its bricks", c.slot.volume, c.process.PID)()
	err := c.prober.Probe(ctx)
	if err == nil {
		return nil
	}
	kind := starts.KindOf(err)
	cure := "publish the volume again for a new client"
	see := ": see `gluster volume status " + c.slot.volume.Name + "`"
	switch {
	case errors.Is(kind, gluster.ErrNotConnected):
		cure = "it recovers by itself when enough bricks are back" + see
		if refusal := c.refusal(ctx); refusal != "" {
			cure = refusal
		}
	case ctx.Err() != nil:
		cure = "it recovers by itself as the servers answer again, or without a silent one after ping-timeout (42 s)" + see
	}
	return fmt.Errorf("%w: %s: its running client (process %d): %w; %s", kind, c.slot.volume, c.process.PID, err, cure)
}

// Checkup asks the bricks, by way of the client, for a sign of life, and then the client for its own state, and returns within
// probe.AnswerLimit and a moment: see probe.Prober.
func (c *Client) Checkup(ctx context.Context) { c.prober.Checkup(ctx) }

// Observed returns what is known of the client now, without asking anybody.
func (c *Client) Observed() probe.Observed { return c.prober.Observed() }

// Refusals returns why bricks refuse the client, by the names of their translators, as far as its log tells.
func (c *Client) Refusals() map[string]string { return clientlog.Refusals(c.slot.dir.Log()) }

// Unreadable returns the paths of files for which the end of the client's log has an input/output error.
func (c *Client) Unreadable() []string { return clientlog.Unreadable(c.slot.dir.Log()) }

// refusal is starts.RefusalCure of the bricks that refuse the client now, "" where none does.
func (c *Client) refusal(ctx context.Context) string {
	refusals := c.Refusals()
	reading := c.Observed().Reading
	if len(refusals) == 0 || reading == nil {
		return ""
	}
	for i, b := range reading.Graph.Bricks {
		if refusals[b.Translator] != "" && !reading.Bricks[i].Connected {
			return starts.RefusalCure(ctx, c.slot.volume, b.Host, refusals)
		}
	}
	return ""
}
