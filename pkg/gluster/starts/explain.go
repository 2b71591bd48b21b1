// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/clientlog"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
)

// Lines of a client's log and what they mean (GlusterFS 10.3). All were seen to be there whenever the cause is.
const (
	lineNoVolume = "failed to fetch volume file (key:"
	// The brick's process is not known to its glusterd.
	lineNoBrick = "failed to get the port number for remote subvolume"
	// The client ends then.
	lineRefused = "remote-error=Authentication failed"
	// To one brick at least.
	lineConnected = "attached to remote volume"
)

// KindOf is the sentinel for what a client answered. A dead client and a lost quorum answer the same, but then probe
// has found the first to be ErrGone.
func KindOf(err error) error {
	if errors.Is(err, unix.ENOTCONN) {
		return gluster.ErrNotConnected
	}
	return gluster.ErrUnreachable
}

// Explain makes an error for people of a start that failed, or that somebody does not wait for any longer: it says
// which Gluster volume, the cause, the servers tried, and the likely cure, and last what the client logged, as events
// are cut. The kind becomes more precise where the log allows it. ctx may be done.
func (a *Attempt) Explain(ctx context.Context, kind, cause error) error {
	log, lines := a.logged()
	evidence := "its client logged no error"
	if len(lines) > 0 {
		evidence = "its client says: " + strings.Join(lines, "; ")
	}
	if what, cure := a.tlsFault(); what != "" { // of which all else that the log has follows
		return fmt.Errorf("%w: %s: %s; %s; %w; servers tried: %s; %s", kind, a.volume, what, cure, cause, a.tried(), evidence)
	}
	switch {
	case strings.Contains(log, lineNoVolume):
		kind = gluster.ErrNoSuchVolume
	case errors.Is(kind, gluster.ErrNotConnected) && strings.Contains(log, lineNoBrick) &&
		!strings.Contains(log, lineConnected):
		kind = gluster.ErrNotStarted
	}
	cure := a.cure(kind)
	if len(a.pool.Servers) > 0 && strings.Contains(log, lineRefused) {
		cure = RefusalCure(context.WithoutCancel(ctx), a.volume, a.pool.Servers[0], map[string]string{"": clientlog.NotAllowed})
	}
	return fmt.Errorf("%w: %s: %w; servers tried: %s; %s; %s", kind, a.volume, cause, a.tried(), cure,
		evidence)
}

// tried lists the servers, with what they said.
func (a *Attempt) tried() string {
	if b := a.hasBegun(); b.answers != nil {
		return b.answers.String()
	}
	return strings.Join(a.pool.Servers, ", ")
}

// logged returns the end of what the client logged in this start, and the lines of it that tell why it failed.
func (a *Attempt) logged() (log string, lines []string) {
	b := a.hasBegun()
	if b.answers == nil {
		return "", nil
	}
	return clientlog.Failure(a.slot.Log(), a.slot.Stderr(), b.logFrom)
}

func (a *Attempt) cure(kind error) string {
	name := a.volume.Name
	switch {
	case errors.Is(kind, gluster.ErrNoSuchVolume):
		return "compare the name in the clusters file with `gluster volume list` on a server"
	case errors.Is(kind, gluster.ErrNotStarted):
		return fmt.Sprintf("run `gluster volume start %s` on a server, or see `gluster volume status %s`", name, name)
	case errors.Is(kind, gluster.ErrNotConnected):
		return fmt.Sprintf("bring its bricks back: see `gluster volume status %s`", name)
	}
	return "make sure that glusterd runs on these servers, and that this host reaches it (TCP port " + glusterd.Port +
		") and the bricks (`gluster volume status " + name + "` shows their ports)"
}

// RefusalCure says what to do where a brick on a server refuses this host for these reasons, by which address it knows
// this host. Clients that were refused are replaced when they are let in again: see pkg reconnect.
func RefusalCure(ctx context.Context, v gluster.Volume, server string, refusals map[string]string) string {
	from := ""
	if address := glusterd.SourceAddress(ctx, server); address != "" {
		from = ", which comes from " + address
	}
	whys := slices.Compact(slices.Sorted(maps.Values(refusals)))
	for _, why := range whys {
		if cure := credentials.Fault(why).Cure(credentials.IO, "of this cluster", v.Name); cure != "" {
			return fmt.Sprintf("its bricks and this node%s do not agree on TLS: %s: %s", from, why, cure)
		}
	}
	why := strings.Join(whys, "; ")
	return fmt.Sprintf("its bricks refuse this node%s: %s: see `gluster volume get %s all | grep -e auth -e allow-insecure -e ssl` on a server",
		from, why, v.Name)
}
