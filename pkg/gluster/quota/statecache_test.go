// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
)

// clustersFile is a watched clusters file with one cluster, called pi.
func clustersFile(t *testing.T, servers []string, volumes ...string) *gluster.ClustersFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	content := fmt.Sprintf("clusters:\n- name: pi\n  servers: [%s]\n  volumes: [%s]\n", strings.Join(servers, ", "), strings.Join(volumes, ", "))
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return gluster.WatchClusters(t.Context(), path, nil)
}

// mute listens as a glusterd that accepts and says nothing, and counts who has asked.
func mute(t *testing.T, address string) *atomic.Int32 {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(address, glusterd.Port))
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	var served sync.WaitGroup
	served.Go(func() {
		var connections []net.Conn
		for {
			connection, err := listener.Accept()
			if err != nil {
				break
			}
			asked.Add(1)
			connections = append(connections, connection)
		}
		for _, connection := range connections {
			_ = connection.Close()
		}
	})
	t.Cleanup(func() { _ = listener.Close(); served.Wait() })
	return &asked
}

func TestServersThatSayNothingAreAskedOnce(t *testing.T) {
	const address = "127.87.2.1"
	asked := mute(t, address)
	states := NewStates(clustersFile(t, []string{address}, "gv0"))
	v := gluster.Volume{Cluster: "pi", Name: "gv0"}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := states.Get(t.Context(), v)
			if !errors.Is(err, gluster.ErrUnreachable) || !strings.Contains(err.Error(), address+" (no answer)") {
				t.Errorf("the error is %v", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := states.Get(ctx, v); !errors.Is(err, gluster.ErrUnreachable) || !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait is told %v", err)
	}
	all.Wait()
	if got := asked.Load(); got != 1 {
		t.Errorf("it was asked %d times", got)
	}
}

func TestAStateIsBelieved(t *testing.T) {
	v := gluster.Volume{Cluster: "pi", Name: "gv0"}
	exact := State{On: true, DeemStatfs: true}
	states := NewStates(clustersFile(t, []string{"127.87.2.2"}, "gv0")) // where nobody listens
	states.known[v] = dated{exact, time.Now().Add(exactFor)}
	if got, err := states.Get(t.Context(), v); got != exact || err != nil {
		t.Errorf("it is %+v, %v", got, err)
	}
	states.known[v] = dated{exact, time.Now()}
	if _, err := states.Get(t.Context(), v); !errors.Is(err, gluster.ErrUnreachable) {
		t.Errorf("an old one is believed: %v", err)
	}
}

func brickWith(options map[string]string) glusterd.Volfile {
	return glusterd.Volfile{{Type: "storage/posix"}, {Type: "features/quota", Options: options}, {Type: "protocol/server"}}
}

func TestTheStateIsThatOfTheBricks(t *testing.T) {
	for _, test := range []struct {
		name    string
		options map[string]string
		want    State
		mention string // of the error
	}{
		{"off", map[string]string{"server-quota": "off", "deem-statfs": "on"}, State{}, ""},
		{"never turned on", nil, State{}, ""},
		{"with GlusterFS's defaults", map[string]string{"server-quota": "on", "deem-statfs": "on"}, State{true, time.Minute, 5 * time.Second, true, ""}, ""},
		{"with times of its own", map[string]string{"server-quota": "enable", "soft-timeout": "2min", "hard-timeout": "0"}, State{true, 2 * time.Minute, 0, false, ""}, ""},
		{"with the longest times", map[string]string{"server-quota": "1", "soft-timeout": "99wk", "hard-timeout": "1800000"}, State{true, maxTimeout, 1800000 * time.Second, false, ""}, ""},
		{"with what is no time", map[string]string{"server-quota": "on", "soft-timeout": "soon"}, State{}, `"soon"`},
		{"with an unknown unit", map[string]string{"server-quota": "on", "hard-timeout": "3fortnights"}, State{}, `"3fortnights"`},
		{"with a number of no size", map[string]string{"server-quota": "on", "hard-timeout": "-1"}, State{}, `"-1"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := StateOf(brickWith(test.options))
			if (err != nil) != (test.mention != "") || err != nil && !strings.Contains(err.Error(), test.mention) {
				t.Fatalf("error %v, want one that mentions %q", err, test.mention)
			}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
	if _, err := StateOf(nil); err == nil {
		t.Error("a brick without the translator has a state")
	}
}

func TestTheErrorSaysWhatToRun(t *testing.T) {
	err := State{}.Check(gluster.Volume{Cluster: "pi", Name: "gv0"})
	const want = "pi/gv0: quota is off for the Gluster volume: on one of its servers run `gluster volume quota gv0 enable`, " +
		"then `gluster volume quota gv0 soft-timeout 5`, then `gluster volume quota gv0 hard-timeout 0`"
	if !errors.Is(err, ErrOff) || err.Error() != want {
		t.Errorf("got:  %v\nwant: %s", err, want)
	}
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"", "0", "5", "60", "1min", "2hr", "3days", "4wk", "5sec", "-1", "min", "1 min", "4294967296", "99999999999999999999", "1x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		d, err := duration(value, SoftTimeout)
		if d < 0 || d > maxTimeout || err != nil && d != 0 {
			t.Errorf("%q is %v, %v", value, d, err)
		}
	})
}
