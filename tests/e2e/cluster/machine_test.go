// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

// scratch is a cluster in a cache directory of its own, in which nothing runs but what the test starts.
func scratch(t *testing.T) *Cluster {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	c := plan()
	if err := errors.Join(os.MkdirAll(cache.Path("bin"), 0o755), c.begin()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.tearDown(context.Background()); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(cache.Path("run")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the cluster's directory is still there: %v", err)
		}
	})
	return c
}

// powerOn starts the LAN and the nodes.
func powerOn(t *testing.T, c *Cluster) {
	t.Helper()
	if err := errors.Join(c.lan.start(t.Context(), c.hosts()), c.lan.layCables()); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.nodes {
		if err := n.powerOn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAMachineHasNothingInCommonWithThisComputer(t *testing.T) {
	c := scratch(t)
	powerOn(t, c)
	n := c.nodes[0]
	first, err := n.machine.first()
	if err != nil {
		t.Fatal(err)
	}
	own := process{pid: os.Getpid()}
	for _, kind := range namespaceKinds {
		if first.namespace(kind) == own.namespace(kind) {
			t.Errorf("it shares the namespace %s", kind)
		}
	}
	output, err := run(n.Command(t.Context(), "hostname"))
	if err != nil || output != n.Name+"\n" {
		t.Errorf("its host name is %q, %v", output, err)
	}
	for _, name := range []string{"/etc/e2e", "/var/e2e", "/tmp/e2e"} {
		if _, err := run(n.Command(t.Context(), "touch", name)); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s came to this computer: %v", name, err)
		}
	}
	if _, err := run(n.Command(t.Context(), "touch", "/usr/e2e")); err == nil {
		t.Error("it can write to this computer's /usr")
	}
	for _, name := range settings {
		if _, err := run(n.Command(t.Context(), "sh", "-c", "echo 7 > /proc/sys/"+name)); err != nil {
			t.Error(err)
		}
	}
	if err := changedSettings(); err != nil {
		t.Error(err)
	}
}

func TestMachinesReachEachOtherAndNobodyElse(t *testing.T) {
	c := scratch(t)
	powerOn(t, c)
	const port = ":1234"
	for _, n := range c.nodes {
		if err := n.machine.daemon(t.Context(), "nc", "busybox", "nc", "-ll", "-p", strings.Trim(port, ":"), "-e", "true"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, from := range c.machines() {
		for _, to := range c.nodes {
			err := poll(ctx, to.Name+" to answer "+from.name, func() error { return from.accepts(ctx, to.IP+port) })
			if err != nil {
				t.Error(err)
			}
		}
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.nodes[0].machine.accepts(soon, "192.0.2.1"+port); err == nil {
		t.Error("a node reaches an address that is not on the LAN")
	}
}

func TestARebootKeepsTheDiskAndNothingElse(t *testing.T) {
	c := scratch(t)
	powerOn(t, c)
	n := c.nodes[1]
	const prepare = "echo kept > /var/lib/kept; echo kept > /etc/kept; echo lost > /run/lost; mount -t tmpfs tmpfs /mnt; echo lost > /mnt/lost"
	if _, err := run(n.Command(t.Context(), "sh", "-c", prepare)); err != nil {
		t.Fatal(err)
	}
	if err := n.machine.daemon(t.Context(), "sleep", "sleep", "infinity"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.powerOff(t.Context()), n.powerOn(t.Context())); err != nil {
		t.Fatal(err)
	}
	output, err := run(n.Command(t.Context(), "sh", "-c", "cat /var/lib/kept /etc/kept; ls /run/lost /mnt/lost; ps ax | grep -c '[s]leep infinity$'"))
	if err != nil {
		t.Fatal(err)
	}
	// tini's sleep is its own; its title ends so, too.
	if strings.Count(output, "kept\n") != 2 || strings.Count(output, "No such file") != 2 || !strings.HasSuffix(output, "\n2\n") {
		t.Errorf("after the reboot: %s", output)
	}
}

func TestTearDownEndsWhateverHasEntered(t *testing.T) {
	c := scratch(t)
	powerOn(t, c)
	local := c.Local(context.Background(), "sleep", "infinity")
	if err := local.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.tearDown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := local.Wait(); err == nil {
		t.Error("it ended by itself")
	}
}

func TestACommandEndsWithItsContext(t *testing.T) {
	c := scratch(t)
	powerOn(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := c.nodes[0].Command(ctx, "sleep", "infinity")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sleeping := func() ([]process, error) {
		return processes(func(p process) bool { return p.parent == cmd.Process.Pid && p.args[0] == "sleep" })
	}
	began, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	err := poll(began, "sleep to start", func() error {
		found, err := sleeping()
		if err == nil && len(found) == 0 {
			err = errors.New("it is not there")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := cmd.Wait(); err == nil {
		t.Error("it ended by itself")
	}
	if left, err := sleeping(); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestWhatIsLeftIsListed(t *testing.T) {
	c := scratch(t)
	ours := cache.Path("bin", "sleeper")
	sleep, err := os.ReadFile("/usr/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ours, sleep, 0o755); err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command(ours, "infinity")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait()
	})
	if err := makeControlGroups(c.nodes[0].controlGroup()); err != nil {
		t.Fatal(err)
	}
	err = leftovers()
	for _, want := range []string{fmt.Sprintf("process %d ", sleeper.Process.Pid), controlGroup()} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in the list: %v", want, err)
		}
	}
	if err := os.WriteFile(settingsFile(), []byte(`{"kernel/panic":"4711"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := changedSettings(); err == nil || !strings.Contains(err.Error(), "kernel/panic was 4711") {
		t.Errorf("a changed setting is not listed: %v", err)
	}
	if err := saveSettings(); err != nil {
		t.Fatal(err)
	}
}
