// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A number may be another process's as soon as the end of the first one is seen, and that is not when HasExited says so.
func TestAProcessRunsUntilTheKernelKnowsOfItsEnd(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := watch(cmd.Process.Pid, true)
	if err != nil {
		t.Fatal(err)
	}
	if !p.IsRunning() {
		t.Error("it does not run")
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if p.IsRunning() {
		t.Error("it runs after its end")
	}
}
