// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package holders

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/programs"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// TestALookWaitsForNoProgramThatIsBeingStarted: as TestARepairWaitsForNoProgramThatIsBeingStarted of pkg/mount.
func TestALookWaitsForNoProgramThatIsBeingStarted(t *testing.T) {
	const patience = 15 * time.Second // a look takes up to 10 s
	dir := t.TempDir()
	holder := programs.Shell(t, "cd "+dir)
	at := programs.MountOf(t, dir)
	l, err := NewLooker()
	must(t, err)
	c := testcluster.New(t, testcluster.Options{})
	m, err := c.Mount(t.Context(), "gv0")
	must(t, err)
	file, err := os.Create(filepath.Join(m.Path, "open"))
	must(t, err)
	defer file.Close()
	for i := range c.Servers() {
		must(t, c.StopServer(i))
	}
	ended := make(chan error, 1)
	go func() { ended <- exec.Command("/bin/true").Run() }()
	for range 3 { // the second and third know that the process does not answer
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		must(t, testcluster.Within(patience, func() error {
			found, err := l.Look(t.Context(), Wanted{Devices: map[mount.Device]bool{at.Device: true}})
			if !slices.ContainsFunc(found.Processes, func(p Process) bool { return p.PID == holder }) {
				t.Errorf("process %d is not found", holder)
			}
			t.Logf("unknown are %d, after %v", found.Unknown, time.Since(began))
			return err
		}))
	}
	select {
	case err := <-ended:
		t.Fatalf("the program was not held up: %v", err)
	default:
	}
	for i := range c.Servers() {
		must(t, c.ContinueServer(i))
	}
	must(t, <-ended)
}
