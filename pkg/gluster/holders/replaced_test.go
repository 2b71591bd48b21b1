// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"os/exec"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// Its mounts were repaired when it was replaced, maybe hours before: until it dies, who has files of it has nothing to open anew.
func TestTheTimeToOpenFilesAnewBeginsWhenAReplacedClientDies(t *testing.T) {
	const mountpoint = "3600"
	running := exec.CommandContext(t.Context(), "sleep")
	running.Args = []string{"glusterfs", mountpoint} // by which a client is known
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	ended := []statedir.Ended{{Connection: 1, PID: running.Process.Pid, Mountpoint: mountpoint, Repaired: time.Now()}}
	var r restarter
	if due := r.due(ended, 0); due[1] {
		t.Error("containers are restarted because of a client that runs")
	}
	if err := running.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = running.Wait() // it was killed
	for round, want := range []bool{false, true} {
		if due := r.due(ended, time.Nanosecond); due[1] != want {
			t.Errorf("in round %d after its death its time is over: %t", round, due[1])
		}
	}
}
