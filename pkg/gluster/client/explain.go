// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/clientlog"
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

// kindOf is the sentinel for what a client answered. A dead client and a lost quorum answer the same, but then probe
// has found the first to be ErrGone.
func kindOf(err error) error {
	if errors.Is(err, unix.ENOTCONN) {
		return gluster.ErrNotConnected
	}
	return gluster.ErrUnreachable
}

// explain makes an error for people of a start that failed, or that somebody does not wait for any longer: it says
// which Gluster volume, the cause, the servers tried, and the likely cure, and last what the client logged, as events
// are cut. The kind becomes more precise where the log allows it.
func (a *attempt) explain(kind, cause error) error {
	log, lines := a.logged()
	switch {
	case strings.Contains(log, lineNoVolume):
		kind = gluster.ErrNoSuchVolume
	case errors.Is(kind, gluster.ErrNotConnected) && strings.Contains(log, lineNoBrick) &&
		!strings.Contains(log, lineConnected):
		kind = gluster.ErrNotStarted
	}
	cure := a.cure(kind)
	if len(a.servers) > 0 && strings.Contains(log, lineRefused) {
		cure = RefusalCure(a.slot.volume, a.servers[0], map[string]string{"": clientlog.NotAllowed})
	}
	evidence := "its client logged no error"
	if len(lines) > 0 {
		evidence = "its client says: " + strings.Join(lines, "; ")
	}
	return fmt.Errorf("%w: %s: %w; servers tried: %s; %s; %s", kind, a.slot.volume, cause, a.tried(), cure,
		evidence)
}

// tried lists the servers, with what they said.
func (a *attempt) tried() string {
	if b := a.hasBegun(); b.answers != nil {
		return b.answers.String()
	}
	return strings.Join(a.servers, ", ")
}

// logged returns the end of what the client logged in this start, and the lines of it that tell why it failed.
func (a *attempt) logged() (log string, lines []string) {
	b := a.hasBegun()
	if b.answers == nil {
		return "", nil
	}
	return clientlog.Failure(a.slot.dir.Log(), a.slot.dir.Stderr(), b.logFrom)
}

func (a *attempt) cure(kind error) string {
	name := a.slot.volume.Name
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
