// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package testcluster

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// A process that is started has copies of all descriptors for a moment; closing one of a file on a mount whose servers
// hang waits for them, and whoever reads its /proc/PID waits, too.
func TestServersGoOnBesideAProgramThatIsBeingStarted(t *testing.T) {
	c := New(t, Options{})
	file, err := os.Create(mount(t, c).Path + "/open")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for i := range c.Servers() {
		if err := c.StopServer(i); err != nil {
			t.Fatal(err)
		}
	}
	started := make(chan error, 1)
	go func() { started <- exec.Command("/bin/true").Run() }()
	time.Sleep(time.Second)
	select {
	case err := <-started:
		t.Fatalf("it has ended: %v", err)
	default:
	}
	began := time.Now()
	for i := range c.Servers() {
		if err := c.ContinueServer(i); err != nil {
			t.Error(err)
		}
	}
	t.Logf("went on after %v", time.Since(began))
	if err := <-started; err != nil {
		t.Error(err)
	}
}
