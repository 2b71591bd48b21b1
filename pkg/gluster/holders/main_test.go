// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package holders

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/repair"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
	"github.com/glusterfs-csi/glusterfs-csi/tests/programs"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) {
	programs.Main()
	container.Main(clients.Verbs())
	testcluster.Main(m)
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// node is a host whose clients are repaired, and watched for who keeps files of dead ones.
type node struct {
	*client.Host

	t       *testing.T
	watcher *Watcher
	client  *client.Client
}

// newNode runs all of it until the test ends. A container may keep its files for a short while only.
func newNode(t *testing.T, change ...func(*Watcher)) *node {
	t.Helper()
	h := clients.SharedHost(t)
	w := New(h.StateDir(), 100*time.Millisecond, nil)
	w.interval = 100 * time.Millisecond
	for _, c := range change {
		c(w)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	running.Go(func() { repair.New(h, nil).Run(ctx) })
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return &node{h, t, w, clients.Ensure(t, h, clients.GV0())}
}

// publish shows a new directory of gv0 with a file "data" for a pod, as the node plugin does for a class that says restart.
func (n *node) publish(uid, dir string) (target string) {
	n.t.Helper()
	clients.MakeFile(n.t, n.client, dir)
	target = clients.Bind(n.t, n.client, "/"+dir, 0)
	must(n.t, n.StateDir().WritePublished(statedir.Published{Volume: clients.GV0(), Pod: uid, Root: "/" + dir, Target: target, Restart: true}))
	return target
}

// die kills the client and waits until a path leads to another one.
func (n *node) die(target string) {
	n.t.Helper()
	clients.Signal(n.t, n.Running()[0], unix.SIGKILL)
	testcluster.Eventually(n.t, clients.Patience, func() error {
		_, err := os.ReadFile(filepath.Join(target, "file"))
		return err
	})
}

// holder waits until a process is said to have files, and returns what is said.
func (n *node) holder(pid int) (found statedir.Holder) {
	n.t.Helper()
	testcluster.Eventually(n.t, clients.Patience, func() error {
		all, err := n.StateDir().Holders()
		for _, h := range all {
			if h.PID == pid {
				found = h
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("process %d is not among %+v", pid, all))
	})
	return found
}

// uid is that of a new pod.
func uid(t *testing.T, number int) string {
	t.Helper()
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", t.Name(), number, os.Getpid())) // of this run alone
	h := hex.EncodeToString(sum[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:32])
}

// controlGroup has processes enter a control group that is named as kubelet and a runtime name a container's.
func controlGroup(t *testing.T, pod, container string, pids ...int) {
	t.Helper()
	programs.InControlGroup(t, filepath.Join("kubepods", "besteffort", "pod"+pod, container), pids...)
}

// id is that of a container.
func id(t *testing.T, number int) string {
	return strings.Repeat(strings.ReplaceAll(uid(t, number), "-", ""), 2)
}
