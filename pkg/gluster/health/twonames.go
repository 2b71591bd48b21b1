// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

const (
	// namesValid is how long an answer of the bricks counts. kubelet asks each minute.
	namesValid = 10 * time.Second
	// namesKept is how long the answer is kept of what nobody asks about any more.
	namesKept = time.Hour
	// maxPathInfo bounds what the bricks say of a directory, in bytes: a hundred bricks or more.
	maxPathInfo = 64 << 10
)

// names are where the bricks have the directories that are mounted. Nobody waits for an answer beyond his own time: it
// may take as long as GlusterFS does. So one question is under way for each client, and the next waits for it.
type names struct {
	mu      sync.Mutex
	known   map[mountedRoot]*nameCheck
	clients map[mount.Device]*sync.Mutex // held while a client is asked
}

type mountedRoot struct {
	device mount.Device
	root   string
}

// nameCheck is what is known of one directory.
type nameCheck struct {
	asked   time.Time
	pending chan struct{} // closed when the question under way ends; nil if none is
	all     []gluster.BrickPath
}

// add adds that the bricks have the directory that is mounted at a place, if it is known, under different names.
func (n *names) add(ctx context.Context, r *findings, v gluster.Volume, at *Place) {
	if at == nil || at.Target == "" || at.Root == "/" || !r.isUsable() {
		return
	}
	root := strings.TrimPrefix(at.Root, "/")
	all := n.of(ctx, *at)
	if len(gluster.Elsewhere(all, root, "")) == 0 {
		return
	}
	r.add(Degraded, TwoNames, fmt.Sprintf("directory %s of %s has %s: a brick has forgotten a rename, as it does when its power goes; "+
		"`glusterfs-csi volume check` says what to do on its server; files can be used meanwhile", root, v, gluster.NamesOn(all)))
}

// of returns what the bricks said last, after waiting for an answer until ctx is done at most.
func (n *names) of(ctx context.Context, at Place) []gluster.BrickPath {
	key := mountedRoot{at.Device, at.Root}
	n.mu.Lock()
	n.forget()
	check := n.known[key]
	if check == nil {
		check = &nameCheck{}
		n.known[key] = check
	}
	if check.pending == nil && time.Since(check.asked) >= namesValid {
		check.asked, check.pending = time.Now(), make(chan struct{})
		if n.clients[at.Device] == nil {
			n.clients[at.Device] = &sync.Mutex{}
		}
		go n.ask(context.WithoutCancel(ctx), n.clients[at.Device], check, at.Target, check.pending)
	}
	pending := check.pending
	n.mu.Unlock()
	if pending != nil {
		select {
		case <-pending:
		case <-ctx.Done():
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return check.all
}

// forget removes what nobody asks about any more.
func (n *names) forget() {
	if n.known == nil {
		n.known, n.clients = map[mountedRoot]*nameCheck{}, map[mount.Device]*sync.Mutex{}
	}
	maps.DeleteFunc(n.known, func(_ mountedRoot, check *nameCheck) bool {
		return check.pending == nil && time.Since(check.asked) > namesKept
	})
}

// ask asks the bricks. Where they do not answer, what is known stays.
func (n *names) ask(ctx context.Context, alone *sync.Mutex, check *nameCheck, target string, done chan<- struct{}) {
	defer close(done)
	value := make([]byte, maxPathInfo)
	size, err := 0, error(unix.EAGAIN)
	alone.Lock()
	defer alone.Unlock()
	panics.Catch(ctx, "question where the bricks have a directory", func() {
		size, err = unix.Getxattr(target, gluster.PathInfoXattr, value)
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	check.pending = nil
	if err == nil {
		check.all = gluster.ParsePathInfo(string(value[:size]))
	}
}

// isUsable says whether nothing is known by which a question to the Gluster volume would wait for long.
func (r *findings) isUsable() bool {
	return !slices.ContainsFunc(r.reasons, func(reason Reason) bool {
		return reason.State == Inaccessible || reason.Code == ProbeTimeout || reason.Code == BrickUnreachable
	})
}
