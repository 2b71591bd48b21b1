// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"os"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/programs"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/pods"
)

// apart are the clients of a node that end with a pod: the mounter's, where they have no control groups of their own.
func (h Host) apart() []answers.Finding {
	const check = "clients"
	root, isThere := h.root()
	if !isThere || h.KubeletDir == "" {
		return nil
	}
	slots, err := root.Slots()
	if err != nil {
		return []answers.Finding{answers.Warned(check, h.StateDir, "clients cannot be listed: "+err.Error(), "")}
	}
	var found []answers.Finding
	running := 0
	for _, slot := range slots {
		starts, _ := slot.Starts() // one that is gone has none
		for _, start := range starts {
			pid, isReady := start.ReadyPID()
			if at, isClient := process.Mountpoint(pid); !isReady || !isClient || at != start.Mountpoint() {
				continue
			}
			running++
			if pod := pods.OfProcess(pid).Pod; pod != "" {
				found = append(found, answers.Warned(check, fmt.Sprintf("process %d", pid), "this client is in the control groups of pod "+pod+
					" and ends with it: it was started by an older mounter, or this node does not let the mounter make control groups, as its log says",
					"glusterfs-csi clients replace --outdated   # in the mounter"))
			} else if programs.Of(pid) == "" && isInImage(pid) {
				found = append(found, answers.Warned(check, fmt.Sprintf("process %d", pid), "this client goes on when the mounter's pod ends, but runs the programs of "+
					"its container's image, of which kubelet may remove what it needs later, and keeps what the container had mounted: when it was started they could not be copied",
					"glusterfs-csi clients replace --outdated   # in the mounter, when its log does not say any more that they cannot be copied"))
			}
		}
	}
	if len(found) == 0 && running > 0 {
		found = append(found, answers.Well(check, h.StateDir, "clients outlive the mounter's pod"))
	}
	return found
}

// isInImage says whether a process has the root of a container of the driver's image.
func isInImage(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d/root/%s", pid, programs.List))
	return err == nil
}
