// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mount

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestARepairWaitsForNoProgramThatIsBeingStarted: who has a file open on a Gluster volume whose servers hang starts a
// program; until they answer, newer kernels tell nothing of that process.
func TestARepairWaitsForNoProgramThatIsBeingStarted(t *testing.T) {
	const patience = 10 * time.Second
	c := testcluster.New(t, testcluster.Options{})
	client, err := c.Mount(t.Context(), "gv0")
	must(t, "mount", err)
	file, err := os.Create(filepath.Join(client.Path, "open"))
	must(t, "create", err)
	defer file.Close()
	for i := range c.Servers() {
		must(t, "stop a server", c.StopServer(i))
	}
	ended := make(chan error, 1)
	go func() { ended <- exec.Command("/bin/true").Run() }()
	for range 3 { // the second and third know that the process does not answer
		time.Sleep(500 * time.Millisecond)
		var repairer Repairer
		var repairErr error
		err := testcluster.Within(patience, func() error {
			_, repairErr = repairer.Repair(t.Context(), nil)
			return nil
		})
		must(t, "repair beside a program that is being started", err)
		t.Logf("it says: %v", repairErr)
		if repairErr != nil && !errors.Is(repairErr, unix.ETIMEDOUT) {
			t.Error(repairErr)
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("the program was not held up: %v", err)
	default:
	}
	for i := range c.Servers() {
		must(t, "continue a server", c.ContinueServer(i))
	}
	must(t, "the program", <-ended)
	var repairer Repairer
	_, err = repairer.Repair(t.Context(), nil)
	must(t, "repair after its start", withoutNoAnswer(err))
}
