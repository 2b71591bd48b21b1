// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package doctor

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestEachSettingIsFoundNamedAndCured: what is set wrong is found, and the printed command, run as it is, makes all well again.
func TestEachSettingIsFoundNamedAndCured(t *testing.T) {
	c, h := replica3(t)
	cure(t, c, finds(t, check(t, h), "quota", answers.Warning, "gv0", "quota is off"))
	isWell(t, check(t, h))
	for _, fault := range []struct {
		check, option, value string
		severity             answers.Severity
		says                 string
	}{
		{"ping-timeout", "network.ping-timeout", "120", answers.Warning, "120 s"},
		{"quick-read", "performance.quick-read-cache-timeout", "9", answers.Warning, "9 s"},
		{"md-cache", "performance.md-cache-timeout", "60", answers.Warning, "60 s"},
		{"root-squash", "server.root-squash", "on", answers.Error, "root in pods is nobody"},
		{"read-only", "features.read-only", "on", answers.Error, "nothing can be written"},
		{"worm", "features.worm", "on", answers.Error, "neither changed nor renamed nor deleted"},
		{"replication", "cluster.quorum-type", "none", answers.Error, "split-brain"},
		{"auth", "auth.allow", "10.9.9.*", answers.Error, "does not name this host"},
		{"auth", "auth.reject", "127.*", answers.Error, "names this host"},
		{"quota", "features.quota-deem-statfs", "off", answers.Warning, "not exact"},
	} {
		t.Run(fault.option, func(t *testing.T) {
			if err := c.SetOption("gv0", fault.option, fault.value); err != nil {
				t.Fatal(err)
			}
			command := finds(t, check(t, h), fault.check, fault.severity, "pi/gv0", fault.says)
			cure(t, c, command)
			isWell(t, check(t, h))
		})
	}
	for _, timeout := range []string{"soft-timeout", "hard-timeout"} {
		t.Run(timeout, func(t *testing.T) {
			if output, err := c.Gluster("volume", "quota", "gv0", timeout, "60"); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			cure(t, c, finds(t, check(t, h), "quota", answers.Warning, "pi/gv0", "not exact"))
			isWell(t, check(t, h))
		})
	}
}

func TestABrickThatDoesNotRunIsNamedAndCured(t *testing.T) {
	c, h := replica3(t)
	if err := c.KillBrick("gv0", 1); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.StartBrick("gv0", 1) }()
	var command string
	testcluster.Eventually(t, patience, func() error {
		all := check(t, h)
		// Before glusterd has noticed, it names the port that the process had, where nobody answers.
		if bad := of(all, "brick", answers.Error); len(bad) != 1 || !strings.Contains(bad[0].Message, "does not run") {
			return fmt.Errorf("%+v", all)
		}
		command = finds(t, all, "brick", answers.Error, c.Servers()[1]+":", "its process does not run")
		return nil
	})
	cure(t, c, command)
	awaitWell(t, h, "quota")
}

func awaitWell(t *testing.T, h Host, except ...string) {
	t.Helper()
	testcluster.Eventually(t, patience, func() error {
		for _, f := range check(t, h) {
			if f.Severity != answers.OK && !slices.Contains(except, f.Check) {
				return fmt.Errorf("%+v", f)
			}
		}
		return nil
	})
}

func TestAGlusterVolumeThatIsStoppedIsNamedAndCured(t *testing.T) {
	c, h := replica3(t)
	if err := c.StopVolume("gv0"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.StartVolume("gv0") }()
	cure(t, c, finds(t, check(t, h), "gluster-volume", answers.Error, "pi/gv0", "it is stopped"))
	awaitWell(t, h, "quota")
}

func TestABrickThatHangsIsNamed(t *testing.T) {
	c, h := replica3(t)
	if err := c.StopBrick("gv0", 2); err != nil {
		t.Fatal(err)
	}
	all := check(t, h)
	if err := c.ContinueBrick("gv0", 2); err != nil {
		t.Fatal(err)
	}
	finds(t, all, "brick", answers.Error, c.Servers()[2]+":", "no answer")
	awaitWell(t, h, "quota")
}

// TestServers: names that do not resolve, ports on which nobody, somebody else or nobody who answers listens, and volumes that
// are not there.
func TestServers(t *testing.T) {
	c, _ := replica3(t)
	alive := c.Servers()[0]
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.88.1.2:24007")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 64))
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad"))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	silent := testcluster.SilentServer(t, "127.88.1.3")
	all := check(t, host(t, fmt.Sprintf("clusters:\n- {name: pi, servers: [no-such-host.invalid, 127.88.1.1, 127.88.1.2, %s, %s], volumes: [gv0, nowhere]}\n", silent, alive)))
	finds(t, all, "server", answers.Error, "no-such-host.invalid", "does not resolve")
	if command := finds(t, all, "server", answers.Error, "127.88.1.1", "connection refused"); command != "systemctl start glusterd" {
		t.Errorf("the cure is %q", command)
	}
	finds(t, all, "server", answers.Error, "127.88.1.2", "answers like no glusterd")
	if cure := finds(t, all, "server", answers.Error, silent, "no answer of glusterd on port 24007"); !strings.HasPrefix(cure, "is its address right") {
		t.Errorf("the cure is %q", cure)
	}
	for _, f := range all {
		if strings.Count(f.Message, "no answer") > 1 {
			t.Errorf("%s says it twice: %s", f.About, f.Message)
		}
	}
	finds(t, all, "server", answers.OK, alive, "answers")
	finds(t, all, "gluster-volume", answers.Error, "pi/nowhere", "do not know it")
	finds(t, all, "gluster-volume", answers.OK, "pi/gv0", "all of its 3 bricks answer")
}

func TestTheClustersFile(t *testing.T) {
	finds(t, check(t, host(t, "clusters: [{name: pi, servers: [a], volume: [gv0]}]")), "clusters-file", answers.Error, "", `unknown field`)
	finds(t, check(t, Host{ClustersFile: "/no/such/file"}), "clusters-file", answers.Error, "/no/such/file", "no such file")
}

func TestTheKubeletDirectory(t *testing.T) {
	c, h := replica3(t)
	_ = c
	h.KubeletDir = t.TempDir()
	finds(t, check(t, h), "kubelet", answers.Error, h.KubeletDir, "it works elsewhere")
	for _, name := range []string{"pods", "plugins_registry"} {
		if err := os.Mkdir(filepath.Join(h.KubeletDir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	finds(t, check(t, h), "kubelet", answers.OK, h.KubeletDir, "")
}

// TestTwoReplicasWithoutQuorumAreCured is about a pool as the operator has it, and a third machine that becomes an
// arbiter.
func TestTwoReplicasWithoutQuorumAreCured(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{Servers: 3, Replica: 2})
	h := host(t, c.ClustersYAML())
	command, there := strings.CutSuffix(finds(t, check(t, h), "replication", answers.Warning, "pi/gv0", "two replicas without quorum"), " HOST:/PATH")
	if !there || command != "gluster volume add-brick gv0 replica 3 arbiter 1" {
		t.Errorf("the cure is %q", command)
	}
	arbiter := filepath.Join(c.Dir(), "arbiter")
	if err := os.Mkdir(arbiter, 0o700); err != nil {
		t.Fatal(err)
	}
	cure(t, c, command+" "+c.Servers()[2]+":"+arbiter+" force") // in the root file system, as nobody should
	awaitWell(t, h, "quota")
}

// TestADeadMountIsFoundAndCured kills a client; the printed command removes what it has left.
// mounted is a client's mount of gv0 in the state directory, until the test ends.
func mounted(t *testing.T, c *testcluster.Cluster, h Host) (client *exec.Cmd, at string) {
	t.Helper()
	at = filepath.Join(h.StateDir, "mnt")
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	client = exec.Command("glusterfs", "--no-daemon", "--volfile-server="+c.Servers()[0], "--volfile-id=/gv0", "--log-file="+filepath.Join(t.TempDir(), "log"), at)
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	testcluster.Eventually(t, patience, func() error {
		for _, f := range of(check(t, h), "mounts", answers.OK) {
			if f.About == at {
				return nil
			}
		}
		return fmt.Errorf("%s is not mounted", at)
	})
	return client, at
}

func TestNoMountIsAskedWhileAServerIsSilent(t *testing.T) {
	c, h := replica3(t)
	client, at := mounted(t, c, h)
	if err := c.StopServer(2); err != nil {
		t.Fatal(err)
	}
	finds(t, check(t, h), "mounts", answers.Warning, at, "was not asked")
	if err := c.ContinueServer(2); err != nil {
		t.Fatal(err)
	}
	if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	_ = client.Wait() // it ends by itself, as nobody waits on it
}

func TestADeadMountIsFoundAndCured(t *testing.T) {
	c, h := replica3(t)
	client, at := mounted(t, c, h)
	if err := client.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = client.Wait()
	command := strings.Fields(finds(t, check(t, h), "mounts", answers.Error, at, "dead"))
	if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, output)
	}
	isWell(t, check(t, h), "quota")
}

func TestWhatStaysDeadInAContainerIsNamed(t *testing.T) {
	h := Host{StateDir: t.TempDir()}
	root, err := statedir.Open(h.StateDir)
	if err == nil {
		err = root.WriteStale([]statedir.Stale{{Pod: "0f1e", Target: "/data", Reason: "its directory was removed"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	if command := finds(t, h.stale(), "containers", answers.Error, "pod 0f1e", "/data stays dead"); !strings.HasSuffix(command, "| grep 0f1e") {
		t.Errorf("the cure is %q", command)
	}
	if err := root.WriteStale(nil); err != nil || len(h.stale()) > 0 {
		t.Errorf("%v, %+v", err, h.stale())
	}
}

func TestWhoKeepsFilesOfADeadClientIsNamed(t *testing.T) {
	h := Host{StateDir: t.TempDir()}
	root, err := statedir.Open(h.StateDir)
	if err == nil {
		err = root.WriteHolders([]statedir.Holder{
			{Pod: "0f1e", PID: 7, Command: "prometheus", Files: 3, Writable: 2}, {PID: 8, Command: "tail", Files: 1}, {PID: 9, Cwd: true}, {PID: 10, Files: 1, Replaced: true},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	if command := finds(t, h.holders(), "dead-files", answers.Error, "pod 0f1e", "open: 3 (for writing: 2)"); !strings.HasSuffix(command, "| grep 0f1e") {
		t.Errorf("the cure is %q", command)
	}
	finds(t, h.holders(), "dead-files", answers.Error, "process 8", "which is in no pod")
	if all := h.holders(); len(all) != 2 {
		t.Errorf("%+v", all)
	}
}

func TestFilesInSplitBrainAreNamed(t *testing.T) {
	h := Host{StateDir: t.TempDir()}
	root, err := statedir.Open(h.StateDir)
	if err == nil {
		err = root.WriteSplit([]statedir.Split{{Volume: gluster.Volume{Cluster: "pi", Name: "gv0"}, Files: []string{"/pvc-1/a", "/pvc-1/b"}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	if command := finds(t, h.split(), "split-brain", answers.Error, "pi/gv0", "/pvc-1/a, /pvc-1/b"); !strings.HasPrefix(command, "glusterfs-csi volume split-brain") {
		t.Errorf("the cure is %q", command)
	}
	if err := root.WriteSplit(nil); err != nil || len(h.split()) > 0 {
		t.Errorf("%v, %+v", err, h.split())
	}
}

// inNamespace runs the test in a process of its own, in new namespaces, after a command there. It says whether this is that process.
func inNamespace(t *testing.T, kind, before string) bool {
	t.Helper()
	if os.Getenv("DOCTOR_IN_NAMESPACE") == t.Name() {
		return true
	}
	c := exec.Command("unshare", kind, "sh", "-c", before+` && exec "$0" -test.v -test.run "^$1$"`, os.Args[0], t.Name())
	c.Env = append(os.Environ(), "DOCTOR_IN_NAMESPACE="+t.Name())
	if output, err := c.CombinedOutput(); err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, output)
	}
	return false
}

// TestAServiceWhereClientsTakeTheirPorts: the printed command is run, in a network of this test's own.
func TestAServiceWhereClientsTakeTheirPorts(t *testing.T) {
	if !inNamespace(t, "--net", "true") {
		return
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", ":48999")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	command, forEachBoot, _ := strings.Cut(finds(t, sourcePorts("/proc"), "source-ports", answers.Warning, "48999", "a service listens there"), "; ")
	if words := strings.Fields(command); words[0] != "sysctl" {
		t.Fatalf("%q is no command of sysctl", command)
	} else if output, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, output)
	}
	finds(t, sourcePorts("/proc"), "source-ports", answers.OK, "", "no service listens")
	if !strings.Contains(forEachBoot, "/etc/sysctl.d/") {
		t.Errorf("what lasts is %q", forEachBoot)
	}
}

// TestWithoutFuse: the device is another, in a mount namespace of this test's own; without, it is the kernel's.
func TestWithoutFuse(t *testing.T) {
	if !inNamespace(t, "--mount", "mount --bind /dev/null /dev/fuse") {
		finds(t, Host{}.fuse(), "fuse", answers.OK, "/dev/fuse", "it opens")
		return
	}
	finds(t, Host{}.fuse(), "fuse", answers.Error, "/dev/fuse", "no client can start")
}
