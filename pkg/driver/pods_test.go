// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mounter"
	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// modeOptions are those of one process of a host.
func modeOptions(dir string, mode Mode) Options {
	o := options(dir)
	switch socket := "unix://" + filepath.Join(dir, "state", "mounter.sock"); mode {
	case Mounter:
		o.Mode, o.Endpoint = Mounter, socket
	case Node:
		o.Mode, o.Mounter = Node, socket
	case All, Controller:
	}
	monitored(&o)
	return o
}

// pods is a node plugin and a mounter, each a process in a mount namespace of its own, as Kubernetes runs them: what one mounts in
// dir appears in the other and on the host. The test's own process is the host.
type pods struct {
	*rig

	nodeProcess, mounterProcess *exec.Cmd
	mounterLog                  *lockedBuffer // log is the node plugin's
}

// servePods runs both, and a controller in this process, which has clients of its own.
func servePods(t *testing.T, clusters string) *pods {
	t.Helper()
	controller := serve(t, clusters, func(o *Options) { o.Mode = Controller })
	dir := sharedDir(t)
	write(t, filepath.Join(dir, "clusters.yaml"), clusters)
	p := &pods{rig: &rig{t: t, dir: dir, log: &lockedBuffer{}, controller: controller.controller}, mounterLog: &lockedBuffer{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the node plugin's log:\n%s\nthe mounter's:\n%s", p.log, p.mounterLog)
		}
	})
	p.startMounter()
	p.startNode()
	return p
}

// sharedDir is a driver's directory on a mount that propagates.
func sharedDir(t *testing.T) string {
	t.Helper()
	base, err := os.MkdirTemp("", "p") //nolint:usetesting // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	// Private first: below a shared /, as on most hosts, the bind is its peer, and what is mounted in it would be below as well.
	if err := errors.Join(os.Chmod(base, 0o755), unix.Mount(base, base, "", unix.MS_BIND, ""), unix.Mount("", base, "", unix.MS_PRIVATE, ""), unix.Mount("", base, "", unix.MS_SHARED, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(mount.Detach(base), os.Remove(base)); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("TMPDIR", base)
	return newDir(t)
}

// start runs one mode of the driver. It ends with the test, and no sooner.
func (p *pods) start(mode Mode, log io.Writer) *exec.Cmd {
	p.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	process := exec.Command("unshare", "--mount", "--propagation", "unchanged", exe)
	process.Env = append(os.Environ(), childVariable+"="+p.dir+","+string(mode))
	process.Stderr = log
	if err := process.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { p.kill(process) })
	return process
}

func (p *pods) startMounter() {
	p.t.Helper()
	p.mounterProcess = p.start(Mounter, p.mounterLog)
	p.served()
}

// startNode runs the node plugin; p.node and p.identity call it from now on.
func (p *pods) startNode() {
	p.t.Helper()
	p.nodeProcess = p.start(Node, p.log)
	controller := p.controller
	connection := p.connect(modeOptions(p.dir, Node).Endpoint)
	p.controller = controller
	p.t.Cleanup(func() { connection.Close() })
	ctx, cancel := p.context()
	defer cancel()
	if _, err := p.identity.Probe(ctx, &csi.ProbeRequest{}); err != nil {
		p.t.Fatal(err)
	}
}

// served waits until the mounter answers.
func (p *pods) served() {
	p.t.Helper()
	testcluster.Eventually(p.t, patience, func() error {
		_, err := p.caller().List(p.t.Context())
		return err
	})
}

// caller calls the mounter.
func (p *pods) caller() *mounter.Client {
	p.t.Helper()
	_, socket, err := parseEndpoint(modeOptions(p.dir, Mounter).Endpoint)
	if err != nil {
		p.t.Fatal(err)
	}
	return mounter.NewClient(socket, "test", "")
}

// clients are those of the mounter.
func (p *pods) clients() []client.Info {
	p.t.Helper()
	infos, err := p.caller().List(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return infos
}

// kill ends a process as the kernel does for want of memory. It may be repeated.
func (p *pods) kill(process *exec.Cmd) {
	p.t.Helper()
	if process.ProcessState != nil {
		return
	}
	if err := process.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	_ = process.Wait() // it was killed
}

// pod is a container that has what was mounted on the host when it was started.
type pod struct{ *container.Container }

func newPod(t *testing.T) pod {
	t.Helper()
	return pod{(&container.Container{}).Start(t)}
}

// append adds a line to a file and returns the whole file in one line, or what the kernel says instead.
func (p pod) append(path, line string) string {
	data, err := p.Do("append", path, line)
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(data)), " ")
}

// appends waits until a container can append to a file that begins with this line.
func (p pod) appends(t *testing.T, path, first string) {
	t.Helper()
	testcluster.Eventually(t, patience, func() error {
		if got := p.append(path, "again"); !strings.HasPrefix(got, first+" ") || !strings.HasSuffix(got, " again") {
			return fmt.Errorf("%q, want %q first", got, first)
		}
		return nil
	})
}
