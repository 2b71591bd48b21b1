// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

const (
	glusterType  = "fuse.glusterfs"
	statfsWithin = 2 * time.Second
)

// mounts looks at each mount of GlusterFS that is the driver's, by one look for each device. Where a server is silent
// none is asked: a process cannot end while it waits for a brick, and whoever ran the doctor would wait with it until
// ping-timeout, and perhaps be given up on before (TestNoMountIsAskedWhileAServerIsSilent).
func (h Host) mounts(ctx context.Context, isServerSilent bool) []answers.Finding {
	const check = "mounts"
	entries, err := mount.List()
	if err != nil {
		return []answers.Finding{answers.Fault(check, h.StateDir, "the mounts of this host cannot be read: "+err.Error(), "")}
	}
	byDevice := map[mount.Device][]string{}
	var devices []mount.Device
	for _, e := range entries {
		if e.FSType != glusterType || !h.isOurs(e.Target) {
			continue
		}
		if byDevice[e.Device] == nil {
			devices = append(devices, e.Device)
		}
		byDevice[e.Device] = append(byDevice[e.Device], e.Target)
	}
	found := each(devices, func(d mount.Device) answers.Finding {
		at := byDevice[d]
		about := at[0]
		if len(at) > 1 {
			about = fmt.Sprintf("%s and %d more", at[0], len(at)-1)
		}
		if isServerSilent {
			return answers.Warned(check, about, "was not asked: a server is silent, and whoever uses it may wait with it", "see the findings of servers")
		}
		switch err := statfs(ctx, at[0]); {
		case errors.Is(err, unix.ENOTCONN):
			f := answers.Fault(check, about, "dead: its client has ended, or has no quorum. The mounter repairs those of pods within seconds; what it did not mount is for you", "umount -l "+at[0])
			f.Where = "on the node"
			return f
		case errors.Is(err, context.DeadlineExceeded):
			return answers.Warned(check, about, "does not answer: its servers are silent, or its client hangs", "see the findings of servers and bricks")
		case err != nil:
			return answers.Warned(check, about, "answers with an error: "+err.Error(), "")
		}
		return answers.Well(check, about, "it answers")
	})
	if len(found) == 0 {
		found = append(found, answers.Well(check, h.StateDir, "no client has anything mounted now"))
	}
	return found
}

// root is the state directory, if a client was ever started here: to look further would make it.
func (h Host) root() (root statedir.Root, isThere bool) {
	if _, err := os.Stat(filepath.Join(h.StateDir, "clients")); err != nil {
		return "", false
	}
	root, err := statedir.Open(h.StateDir)
	return root, err == nil
}

// stale are the mounts in containers that no round of repair can replace, as the mounter says.
func (h Host) stale() []answers.Finding {
	root, isThere := h.root()
	if !isThere {
		return nil
	}
	all, err := root.Stale()
	var found []answers.Finding
	if err != nil {
		found = append(found, answers.Warned("containers", h.StateDir, "what is dead in containers cannot be read: "+err.Error(), ""))
	}
	for _, s := range all {
		found = append(found, answers.Fault("containers", "pod "+s.Pod, fmt.Sprintf("its mount at %s stays dead (%s): `Transport endpoint is not connected`", s.Target, s.Reason),
			"restart that pod; "+nameOf(s.Pod)))
	}
	return found
}

// holders are the processes that keep files of dead clients open, as the mounter says.
func (h Host) holders() []answers.Finding {
	root, isThere := h.root()
	if !isThere {
		return nil
	}
	all, err := root.Holders()
	var found []answers.Finding
	if err != nil {
		found = append(found, answers.Warned("dead-files", h.StateDir, "who keeps files of dead clients open cannot be read: "+err.Error(), ""))
	}
	for _, holder := range all {
		switch {
		case holder.Replaced || holder.Files+holder.Mapped == 0:
		case holder.Pod == "":
			found = append(found, answers.Fault("dead-files", fmt.Sprintf("process %d", holder.PID), holder.Describe(), fmt.Sprintf("restart process %d of this node", holder.PID)))
		default:
			found = append(found, answers.Fault("dead-files", "pod "+holder.Pod, holder.Describe(), "restart that container, or the pod; "+nameOf(holder.Pod)))
		}
	}
	return found
}

// split are the files that bricks disagree on, as the node plugin says.
func (h Host) split() []answers.Finding {
	root, isThere := h.root()
	if !isThere {
		return nil
	}
	all, err := root.Split()
	var found []answers.Finding
	if err != nil {
		found = append(found, answers.Warned("split-brain", h.StateDir, "which files are in split-brain cannot be read: "+err.Error(), ""))
	}
	for _, s := range all {
		const named = 5
		text := strings.Join(s.Files[:min(len(s.Files), named)], ", ")
		if more := len(s.Files) - named; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		f := answers.Fault("split-brain", s.String(), "pods of this node cannot read files that its bricks disagree on: "+text, "glusterfs-csi volume split-brain VOLUME, and then with --keep")
		f.Where = "in the controller's pod"
		found = append(found, f)
	}
	return found
}

// nameOf says how to find a pod by its UID.
func nameOf(pod string) string {
	return "its name: kubectl get pods -A -o custom-columns=UID:.metadata.uid,NAMESPACE:.metadata.namespace,NAME:.metadata.name | grep " + pod
}

// isOurs says that the driver has mounted it, and does not keep it although it is dead.
func (h Host) isOurs(target string) bool {
	if inState, ok := strings.CutPrefix(target, h.StateDir+"/"); ok {
		return !strings.Contains(inState, "/dead-")
	}
	return h.KubeletDir != "" && strings.HasPrefix(target, h.KubeletDir+"/")
}

// statfs does not wait for a mount that hangs; its thread does.
func statfs(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, statfsWithin)
	defer cancel()
	answered := make(chan error, 1)
	go func() {
		var st unix.Statfs_t
		answered <- unix.Statfs(path, &st)
	}()
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
