// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
)

var gv0 = gluster.Volume{Cluster: "pi", Name: "gv0"}

// knownOf asks a server at this address.
func knownOf(t *testing.T, address string) *Known {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	content := fmt.Sprintf("clusters:\n- name: pi\n  servers: [%s]\n  volumes: [gv0]\n", address)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return New(gluster.WatchClusters(t.Context(), path, nil))
}

func TestServersThatHangUpAreAskedOnceForAllAndForbidNothing(t *testing.T) {
	const address = "127.87.4.1"
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(address, glusterd.Port))
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	var served sync.WaitGroup
	served.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = connection.Close()
		}
	})
	t.Cleanup(func() { _ = listener.Close(); served.Wait() })

	known := knownOf(t, address)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := known.Get(t.Context(), gv0).Check(gv0); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := asked.Load(); got != 1 {
		t.Errorf("it was asked %d times", got)
	}
	known.Again(t.Context(), gv0)
	if got := asked.Load(); got != 2 {
		t.Errorf("it was asked %d times, and once again", got)
	}
}

func TestWhoDoesNotWaitGetsWhatWasSaidLast(t *testing.T) {
	known := knownOf(t, "127.87.4.2")
	want := Of(brick("features/worm", "worm", "on"))
	known.of[gv0] = said{settings: want} // which does not count any more
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begun, release := make(chan struct{}), make(chan struct{})
	known.asked.DoChan(gv0.String(), func() (any, error) { close(begun); <-release; return struct{}{}, nil })
	<-begun
	defer close(release)
	if got := known.Get(ctx, gv0); got.Check(gv0) == nil {
		t.Errorf("it is told %+v", got)
	}
	if got := known.Get(ctx, gluster.Volume{Cluster: "pi", Name: "another"}); got.Check(gv0) != nil {
		t.Errorf("of another volume it is told %+v", got)
	}
}
