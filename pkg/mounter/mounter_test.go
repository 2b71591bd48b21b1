// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mounter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/rootsocket"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// callerVariable makes the test binary a process that calls the mounter at the socket that it names.
const callerVariable = "MOUNTER_TEST_CALLER"

func TestMain(m *testing.M) {
	if socket := os.Getenv(callerVariable); socket != "" {
		_, err := NewClient(socket, "test", "").List(context.Background())
		fmt.Println(err)
		os.Exit(0)
	}
	testcluster.Main(m)
}

const patience = 30 * time.Second

var gv0 = gluster.Volume{Cluster: testcluster.Name, Name: "gv0"}

// socketPath is short enough for a socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "m") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "mounter.sock")
}

// serve runs a mounter with the clients of a Host until the test ends.
func serve(t *testing.T, host *client.Host) (socket string) {
	t.Helper()
	socket = socketPath(t)
	ctx, cancel := context.WithCancel(context.Background())
	listener, err := Listen(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, host, "test") }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// newHost has the clusters file of the shared cluster. Its clients end with the test.
func newHost(t *testing.T) *client.Host {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	servers := testcluster.Shared(t, testcluster.Options{}).Servers()
	content := fmt.Sprintf("clusters:\n- name: %s\n  servers: [%s]\n  volumes: [gv0, none]\n", testcluster.Name, strings.Join(servers, ", "))
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	host, err := client.NewHost(t.TempDir(), gluster.WatchClusters(t.Context(), path, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := host.DetachStarted(ctx); err != nil {
			t.Error(err)
		}
	})
	return host
}

func TestAClientOverTheSocket(t *testing.T) {
	host := newHost(t)
	client := NewClient(serve(t, host), "test", "")
	if infos, err := client.List(t.Context()); len(infos) > 0 || err != nil {
		t.Errorf("before: %+v, %v", infos, err)
	}
	info, err := client.Ensure(t.Context(), gv0, []string{"acl"})
	if err != nil {
		t.Fatal(err)
	}
	if want := host.Clients(); len(want) != 1 || fmt.Sprint(info) != fmt.Sprint(want[0]) || info.PID == 0 {
		t.Errorf("got %+v, the mounter has %+v", info, want)
	}
	infos, err := client.List(t.Context())
	if len(infos) != 1 || fmt.Sprint(infos[0]) != fmt.Sprint(info) || err != nil {
		t.Errorf("after: %+v, %v", infos, err)
	}
}

func TestErrorsOverTheSocket(t *testing.T) {
	client := NewClient(serve(t, newHost(t)), "test", "")
	for name, test := range map[string]struct {
		volume  gluster.Volume
		options []string
		want    error
	}{
		"an unknown cluster":                 {gluster.Volume{Cluster: "other", Name: "gv0"}, nil, gluster.ErrUnknownCluster},
		"an unknown volume":                  {gluster.Volume{Cluster: testcluster.Name, Name: "gv9"}, nil, gluster.ErrUnknownVolume},
		"an option that is refused":          {gv0, []string{"xlator-option=x"}, gluster.ErrOption},
		"a volume that the servers lack":     {gluster.Volume{Cluster: testcluster.Name, Name: "none"}, nil, gluster.ErrNoSuchVolume},
		"a request that is too long to read": {gv0, []string{strings.Repeat("x", maxRequest)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Ensure(t.Context(), test.volume, test.options)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if errors.Is(err, gluster.ErrUnreachable) {
				t.Errorf("the mounter is said to be away: %v", err)
			}
		})
	}
}

func TestEveryKindOfErrorIsKept(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			before := fmt.Errorf("start: %w: gv0: %w", kind, errors.New("it says why"))
			data, err := json.Marshal(describe(before))
			if err != nil {
				t.Fatal(err)
			}
			var f failure
			if err := json.Unmarshal(data, &f); err != nil {
				t.Fatal(err)
			}
			after := f.err()
			if after.Error() != before.Error() {
				t.Errorf("%q became %q", before, after)
			}
			for other, k := range kinds {
				if errors.Is(after, k) != (other == name) {
					t.Errorf("is %s: %t", other, errors.Is(after, k))
				}
			}
		})
	}
	if err := (failure{Error: "x", Kinds: []string{"OfALaterVersion"}}).err(); err.Error() != "x" {
		t.Errorf("a kind of a later version: %v", err)
	}
}

func TestAMounterThatIsAway(t *testing.T) {
	socket := socketPath(t)
	_, err := NewClient(socket, "test", "").Ensure(t.Context(), gv0, nil)
	checkAway(t, err, socket)

	// One that was killed leaves its socket.
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, listener)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = NewClient(socket, "test", "").Ensure(t.Context(), gv0, nil)
	checkAway(t, err, socket)
}

// keep leaves the file of a socket when it is closed.
func keep(t *testing.T, listener net.Listener) {
	t.Helper()
	l, ok := listener.(*net.UnixListener)
	if !ok {
		t.Fatalf("%T", listener)
	}
	l.SetUnlinkOnClose(false)
}

func checkAway(t *testing.T, err error, socket string) {
	t.Helper()
	if !errors.Is(err, gluster.ErrUnreachable) || !strings.Contains(err.Error(), "glusterfs-csi-mounter") || !strings.Contains(err.Error(), socket) {
		t.Errorf("got %v", err)
	}
}

func TestAMounterThatSaysNothing(t *testing.T) {
	socket := socketPath(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = NewClient(socket, "test", "").Ensure(ctx, gv0, nil)
	checkAway(t, err, socket)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it does not say that the time is up: %v", err)
	}
}

func TestAMounterThatAnswersNonsense(t *testing.T) {
	socket := socketPath(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan string, 1)
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, <-answers)
	})}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	for _, nonsense := range []string{"", "[]", "[{},{}]", "<html>", `{"error":"x"}`} {
		answers <- nonsense
		_, err := NewClient(socket, "test", "").Ensure(t.Context(), gv0, nil)
		checkAway(t, err, socket)
	}
}

func TestTheSocketIsRootsAlone(t *testing.T) {
	socket := serve(t, newHost(t))
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("its mode is %o", mode)
	}
	if said := callAs(t, socket, 0); said != "<nil>" {
		t.Fatalf("root was told: %s", said)
	}
	if said := callAs(t, socket, 1001); !strings.Contains(said, "permission denied") {
		t.Errorf("another user was told: %s", said)
	}
	// Should the file's mode not keep somebody out, the mounter does.
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	if said := callAs(t, socket, 1001); said == "<nil>" || strings.Contains(said, "permission denied") {
		t.Errorf("another user was told: %s", said)
	}
}

// callAs is what List says to a process of this user.
func callAs(t *testing.T, socket string, uid uint32) string {
	t.Helper()
	process := exec.CommandContext(t.Context(), "/proc/self/exe")
	process.Env = append(os.Environ(), callerVariable+"="+socket)
	process.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	output, err := process.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(output))
}

func TestASocketThatIsThere(t *testing.T) {
	t.Run("of a mounter that was killed is replaced", func(t *testing.T) {
		socket := socketPath(t)
		for range 2 {
			listener, err := Listen(t.Context(), socket)
			if err != nil {
				t.Fatal(err)
			}
			l, ok := listener.(*rootsocket.Listener)
			if !ok {
				t.Fatalf("%T", listener)
			}
			keep(t, l.UnixListener)
			if err := listener.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("of a mounter that serves is left to it", func(t *testing.T) {
		socket := serve(t, newHost(t))
		if _, err := Listen(t.Context(), socket); err == nil || !strings.Contains(err.Error(), "another process serves") {
			t.Errorf("got %v", err)
		}
		if _, err := NewClient(socket, "test", "").List(t.Context()); err != nil {
			t.Errorf("the first mounter: %v", err)
		}
	})
	t.Run("and is a file is kept", func(t *testing.T) {
		socket := socketPath(t)
		if err := os.WriteFile(socket, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(t.Context(), socket); err == nil {
			t.Error("no error")
		}
		if data, err := os.ReadFile(socket); string(data) != "precious" {
			t.Errorf("%q, %v", data, err)
		}
	})
}

func TestACallerThatSaysNothingIsHungUpOn(t *testing.T) {
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", serve(t, newHost(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}
