// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package starts

import (
	"os"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/cgroup"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// TestAClientMayEndWhileClientsComeToBeKeptApart is about clients that were found as the mounter began: they are watched before it knows
// whether it may keep clients apart. The race detector finds what is read and written without order, whenever either happens.
func TestAClientMayEndWhileClientsComeToBeKeptApart(t *testing.T) {
	a := openApart(t)
	t.Cleanup(func() { remove(t, a) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Sweep()
	}()
	if err := a.Keep(cgroup.Limits{}); err != nil {
		t.Error(err)
	}
	<-ended
	if !a.IsKept() {
		t.Error("clients are not kept apart")
	}
}

// TestTheEndChangesNothingThatIsReadMeanwhile: nobody waits for what looks at clients, and the race detector finds what is written.
func TestTheEndChangesNothingThatIsReadMeanwhile(t *testing.T) {
	a := openApart(t)
	if err := a.Keep(cgroup.Limits{}); err != nil {
		t.Fatal(err)
	}
	a.isRooted = true
	looked := make(chan bool)
	go func() { looked <- a.IsOutdated(os.Getpid()) }()
	remove(t, a)
	if <-looked {
		t.Error("this process has another root than a client would have")
	}
}

func openApart(t *testing.T) *Apart {
	t.Helper()
	root, err := statedir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return OpenApart(root)
}

func remove(t *testing.T, a *Apart) {
	t.Helper()
	if err := a.Remove(func() []int { return nil }); err != nil {
		t.Error(err)
	}
}
