// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mounter"
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
	if err := errors.Join(os.Chmod(base, 0o755), unix.Mount(base, base, "", unix.MS_BIND, ""), unix.Mount("", base, "", unix.MS_SHARED, "")); err != nil {
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
	return mounter.NewClient(socket)
}

// clients are those of the mounter.
func (p *pods) clients() []gluster.ClientInfo {
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

// container is a shell in a mount namespace of its own with private propagation, started after what it is to see was mounted.
type container struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func newContainer(t *testing.T) *container {
	t.Helper()
	shell := exec.Command("sh")
	shell.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), shell.Wait()); err != nil {
			t.Error(err)
		}
	})
	return &container{t: t, in: in, out: bufio.NewScanner(out)}
}

// append adds a line to a file and returns the whole file, or what the shell says instead.
func (c *container) append(path, line string) string {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.in, "{ echo %s >>%s && cat %s; } 2>&1 | tr '\\n' ' '; echo\n", line, path, path); err != nil {
		c.t.Fatal(err)
	}
	var said string
	if err := testcluster.Within(patience, func() error {
		if !c.out.Scan() {
			return errors.New("the container ended")
		}
		said = strings.TrimSpace(c.out.Text())
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
	return said
}

// appends waits until a container can append to a file that begins with this line.
func (c *container) appends(path, first string) {
	c.t.Helper()
	testcluster.Eventually(c.t, patience, func() error {
		if got := c.append(path, "again"); !strings.HasPrefix(got, first+" ") || !strings.HasSuffix(got, " again") {
			return fmt.Errorf("%q, want %q first", got, first)
		}
		return nil
	})
}

func TestTheNodePluginIsKilledAndNobodyNotices(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v := p.create()
	target := p.publish(v, "pod")
	pod := newContainer(t)
	open, err := os.Create(filepath.Join(target, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	writes := keepWriting(t, open)
	before, device := p.clients(), mountAt(t, target).Device

	for i := range 3 {
		p.kill(p.nodeProcess)
		if got := pod.append(filepath.Join(target, "f"), fmt.Sprint(i)); !strings.HasSuffix(got, fmt.Sprint(i)) {
			t.Errorf("without the node plugin: %s", got)
		}
		p.startNode()
		p.healthComesTo(v, target)
		code(t, p.tryPublish(v, target), codes.OK)
	}
	second := p.publish(v, "second")
	if got := mountAt(t, second).Device; got != device || mountAt(t, target).Device != device {
		t.Errorf("the device was %v, is %v", device, got)
	}
	if after := p.clients(); len(after) != 1 || after[0].PID != before[0].PID {
		t.Errorf("the clients were %+v, are %+v", before, after)
	}
	if err := writes(); err != nil {
		t.Errorf("a write failed meanwhile: %v", err)
	}
	open.Close()
	p.unpublish(v, target, second)
	code(t, p.delete(v), codes.OK)
}

func TestAMounterThatIsKilledAloneFindsItsClientsAgain(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v := p.create()
	target := p.publish(v, "pod")
	before := p.clients()
	open, err := os.Create(filepath.Join(target, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	writes := keepWriting(t, open)

	p.kill(p.mounterProcess)
	t.Run("running clients are used without it", func(*testing.T) {
		p.unpublish(v, p.publish(v, "meanwhile"))
		p.kill(p.nodeProcess)
		p.startNode()
		p.unpublish(v, p.publish(v, "meanwhile"))
		p.healthComesTo(v, target)
	})
	t.Run("a new one is refused with what to do", func(t *testing.T) {
		err := p.tryPublish(v, p.target("acl"), as(manyWriters, "acl"))
		code(t, err, codes.Unavailable, "the mounter of this host", "DaemonSet glusterfs-csi-mounter", "running clients go on")
		nothingAt(t, p.target("acl"))
	})
	p.startMounter()
	if after := p.clients(); len(after) != 1 || after[0].PID != before[0].PID || !after[0].Adopted {
		t.Errorf("the clients were %+v, are %+v", before, after)
	}
	p.unpublish(v, p.publish(v, "acl", as(manyWriters, "acl")))
	if err := writes(); err != nil {
		t.Errorf("a write failed meanwhile: %v", err)
	}
	open.Close()

	// It watches and repairs them as its own.
	pod := newContainer(t)
	pod.append(filepath.Join(target, "f"), "kept")
	killClient(t, before[0])
	pod.appends(filepath.Join(target, "f"), "kept")
	p.healthComesTo(v, target)
	p.unpublish(v, target)
	code(t, p.delete(v), codes.OK)
}

func killClient(t *testing.T, client gluster.ClientInfo) {
	t.Helper()
	if client.PID <= 1 {
		t.Fatalf("no such client: %+v", client)
	}
	if err := unix.Kill(client.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// This is what happens when the mounter's container ends: kubelet ends all its processes.
func TestAMounterThatDiesWithItsClientsRepairsThemByItself(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v, w := p.create(), p.create()
	type shown struct {
		target string
		flags  mount.Flags
	}
	all := []shown{
		{p.publish(v, "a"), 0}, {p.publish(v, "b"), 0}, {p.publish(w, "c"), 0},
		{p.publish(w, "acl", as(manyWriters, "acl", "noexec")), mount.NoExec},
	}
	reader := shown{p.publish(v, "reader", readOnly), mount.ReadOnly}
	containers := []*container{newContainer(t), newContainer(t)}
	for _, s := range all {
		containers[0].append(filepath.Join(s.target, "f-"+filepath.Base(s.target)), "kept")
	}
	before := p.clients()
	if len(before) != 2 {
		t.Fatalf("clients: %+v", before)
	}

	p.kill(p.nodeProcess) // so that nobody helps
	began := time.Now()
	if err := p.mounterProcess.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, client := range before {
		killClient(t, client)
	}
	_ = p.mounterProcess.Wait() // it was killed
	for _, s := range append(all, reader) {
		testcluster.Eventually(t, patience, func() error {
			if _, err := os.ReadDir(s.target); !errors.Is(err, unix.ENOTCONN) {
				return fmt.Errorf("%s is not dead: %w", s.target, err)
			}
			return nil
		})
	}
	restarted := time.Now()
	p.startMounter()
	for _, s := range all {
		path := filepath.Join(s.target, "f-"+filepath.Base(s.target))
		for _, c := range containers {
			c.appends(path, "kept")
		}
		if data, err := os.ReadFile(path); !strings.HasPrefix(string(data), "kept\n") {
			t.Errorf("on the host: %q, %v", data, err)
		}
	}
	t.Logf("all works again %v after the kill, %v after the new mounter was started",
		time.Since(began).Round(time.Millisecond), time.Since(restarted).Round(time.Millisecond))
	for _, s := range append(all, reader) {
		if got := mountAt(t, s.target).Flags; got != s.flags {
			t.Errorf("%s has the flags %s, had %s", s.target, got, s.flags)
		}
	}
	if got := containers[0].append(filepath.Join(reader.target, "f"), "x"); !strings.Contains(got, "Read-only file system") {
		t.Errorf("through the read-only mount: %s", got)
	}

	p.startNode()
	p.healthComesTo(v, all[0].target)
	ctx, cancel := p.context()
	defer cancel()
	if _, err := p.node.NodeGetVolumeStats(ctx, statsRequest(v, all[0].target)); err != nil {
		t.Error(err)
	}
	if after := p.clients(); len(after) != 2 {
		t.Errorf("clients: %+v", after)
	}
	p.unpublish(v, all[0].target, all[1].target, reader.target)
	p.unpublish(w, all[2].target, all[3].target)
	code(t, p.delete(v), codes.OK)
	code(t, p.delete(w), codes.OK)
}

func TestHealthWhileTheMounterIsAway(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v := p.create()
	target := p.publish(v, "pod")
	p.healthComesTo(v, target)
	client := p.clients()[0]
	p.kill(p.mounterProcess)
	p.healthComesTo(v, target)
	killClient(t, client)
	p.healthComesTo(v, target, "INACCESSIBLE ClientDead: gv0")
	p.startMounter()
	p.healthComesTo(v, target)
	p.unpublish(v, target)
	code(t, p.delete(v), codes.OK)
}

func TestAMounterThatIsToldToEndLeavesItsClients(t *testing.T) {
	p := servePods(t, clustersYAML(healthy(t).Servers(), "gv0"))
	v := p.create()
	target := p.publish(v, "pod")
	began := time.Now()
	if err := p.mounterProcess.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = p.mounterProcess.Wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := os.WriteFile(filepath.Join(target, "f"), nil, 0o600); err != nil {
		t.Error(err)
	}
	p.unpublish(v, target)
	code(t, p.delete(v), codes.OK)
}

func TestAMounterIsAskedForItsHealthThroughItsOwnSocket(t *testing.T) {
	dir := newDir(t)
	r := &rig{t: t, dir: dir, log: &lockedBuffer{}}
	ctx, cancel := context.WithCancel(logTo(r.log))
	o := modeOptions(dir, Mounter)
	d, err := New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	r.wantStatus("/healthz", 200, "ok")
	r.wantStatus("/readyz", 503, "clusters file")
	r.setClusters(clustersYAML(healthy(t).Servers(), "gv0"))
	r.wantStatus("/readyz", 200, "ok")
	r.wantStatus("/metrics", 200, `mode="mounter"`)
	_, socket, err := parseEndpoint(o.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	r.wantStatus("/healthz", 503, socket)
}
