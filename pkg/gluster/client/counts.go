// SPDX-License-Identifier: Apache-2.0

package client

import (
	"maps"
	"path/filepath"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
)

// Reasons of deaths beside those of package process.
const (
	// DeathHung is the end of a client that this Host has killed, as it had not told its own state for long.
	DeathHung = "hung"
)

// DeathReasons are all that a Tally may have.
var DeathReasons = []string{
	DeathHung, string(process.EndKilled), string(process.EndCrashed), string(process.EndExited), string(process.EndUnknown),
}

// Tally is what a Host has seen of the clients of one Gluster volume since it was made.
type Tally struct {
	Started, Failed int            // starts
	Deaths          map[string]int // by reason. The end of one that was idle or replaced is none
}

// Tallies are those of all Gluster volumes of the clusters file, and of the others of which something was seen.
func (h *Host) Tallies() map[gluster.Volume]Tally {
	all := map[gluster.Volume]Tally{}
	if clusters, err := h.clusters.Current(); err == nil {
		for _, v := range clusters.Volumes() {
			all[v] = Tally{}
		}
	}
	h.tallies.with(func(known *map[gluster.Volume]*Tally) {
		for v, t := range *known {
			all[v] = Tally{Started: t.Started, Failed: t.Failed, Deaths: maps.Clone(t.Deaths)}
		}
	})
	return all
}

func (h *Host) count(v gluster.Volume, change func(*Tally)) {
	h.tallies.with(func(known *map[gluster.Volume]*Tally) {
		if (*known)[v] == nil {
			if *known == nil {
				*known = map[gluster.Volume]*Tally{}
			}
			(*known)[v] = &Tally{Deaths: map[string]int{}}
		}
		change((*known)[v])
	})
}

// countStart counts a start that has succeeded or not.
func (h *Host) countStart(v gluster.Volume, err error) {
	h.count(v, func(t *Tally) {
		if err == nil {
			t.Started++
		} else {
			t.Failed++
		}
	})
}

// countDeath counts the end of a client, unless that was detached as an idle one.
func (h *Host) countDeath(c *Client) {
	reason := string(c.process.Ending())
	switch {
	case c.detached.Load():
		return
	case c.hung.Load():
		reason = DeathHung
	}
	h.count(c.slot.volume, func(t *Tally) { t.Deaths[reason]++ })
}

// Name tells the clients of one Gluster volume apart: those with the same options have the same, one after the other.
func (c *Client) Name() string { return filepath.Base(string(c.slot.dir)) }

// Use is what the client's process has of the host. It asks GlusterFS nothing.
func (c *Client) Use() (process.Use, error) { return c.process.Use() }

// Unanswered is how long ago the client has answered last, or was found or started where it has not answered yet.
func (c *Client) Unanswered() time.Duration {
	answered := c.prober.Observed().Answered
	if answered.IsZero() {
		answered = c.since
	}
	return time.Since(answered)
}
