// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2/textlogger"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

func TestEndpoints(t *testing.T) {
	for endpoint, want := range map[string]string{
		"unix:///run/csi.sock": "unix /run/csi.sock", "unix:/run/csi.sock": "unix /run/csi.sock",
		"tcp://127.0.0.1:9000": "tcp 127.0.0.1:9000", "tcp://[::1]:9000": "tcp [::1]:9000", "tcp://:9000": "tcp :9000",
	} {
		network, address, err := parseEndpoint(endpoint)
		if got := network + " " + address; got != want || err != nil {
			t.Errorf("%s: %s, %v", endpoint, got, err)
		}
	}
	for _, endpoint := range []string{"", "csi.sock", "/run/csi.sock", "unix://", "unix://csi.sock", "tcp://localhost", "tcp://h:1/path", "http://h:1", "unix\x00"} {
		if _, _, err := parseEndpoint(endpoint); err == nil {
			t.Errorf("%q was accepted", endpoint)
		}
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	good := Options{Mode: All, Name: DefaultName, Endpoint: "unix:///run/csi.sock", NodeID: "n", ClustersFile: "/c", StateDir: "/s", MaxOperations: 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for flag, spoil := range map[string]func(o *Options){
		"mode":                  func(o *Options) { o.Mode = "both" },
		"--driver-name":         func(o *Options) { o.Name = "a name" },
		"--node-id":             func(o *Options) { o.NodeID = "" },
		"--node-id has":         func(o *Options) { o.NodeID = strings.Repeat("n", 257) },
		"--clusters":            func(o *Options) { o.ClustersFile = "clusters.yaml" },
		"--state-dir":           func(o *Options) { o.StateDir = "" },
		"--trash-retention":     func(o *Options) { o.TrashRetention = -time.Second },
		"--max-operations":      func(o *Options) { o.MaxOperations = 0 },
		"--max-copies":          func(o *Options) { o.MaxCopies, o.MaxCopiesVolume = 0, 2 },
		"-per-volume -1":        func(o *Options) { o.MaxCopies, o.MaxCopiesVolume = 4, -1 },
		"--endpoint":            func(o *Options) { o.Endpoint = "nowhere" },
		"its own host":          func(o *Options) { o.Mode, o.Endpoint = Mounter, "tcp://127.0.0.1:1" },
		"--mounter":             func(o *Options) { o.Mode, o.Mounter = Node, "tcp://127.0.0.1:1" },
		"--kubernetes-id \"a b": func(o *Options) { o.KubernetesID = "a b" },
		"same thing":            func(o *Options) { o.KubernetesID, o.KubernetesIDFrom = "a", "/s" },
		"absolute path":         func(o *Options) { o.KubernetesIDFrom = "serviceaccount" },
		"--claims-from":         func(o *Options) { o.ClaimsFrom = "serviceaccount" },
		"for a controller":      func(o *Options) { o.Mode, o.KubernetesID = Node, "a" },
		"is for the mode":       func(o *Options) { o.Mounter = "unix:///m" },
	} {
		bad := good
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestASocketLeftByAKilledDriverIsReplacedAndAFileIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "csi.sock")
	for range 2 {
		listener, err := listen(t.Context(), "unix://"+path)
		if err != nil {
			t.Fatal(err)
		}
		listener.(*net.UnixListener).SetUnlinkOnClose(false) // as after a kill
		listener.Close()
	}
	file := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(t.Context(), "unix://"+file); err == nil {
		t.Error("a file was taken for a socket")
	}
	if data, err := os.ReadFile(file); string(data) != "x" {
		t.Errorf("the file is %q now, %v", data, err)
	}
}

func TestEveryKindOfErrorHasItsCode(t *testing.T) {
	for want, err := range map[codes.Code]error{
		codes.Aborted:            errors.Join(volume.ErrBusy, context.DeadlineExceeded),
		codes.DeadlineExceeded:   fmt.Errorf("x: %w", context.DeadlineExceeded),
		codes.Canceled:           context.Canceled,
		codes.InvalidArgument:    volume.ErrInvalid,
		codes.AlreadyExists:      volume.ErrIncompatible,
		codes.FailedPrecondition: volume.ErrForeign,
		codes.NotFound:           volume.ErrNotFound,
		codes.PermissionDenied:   volume.ErrRefused,
		codes.ResourceExhausted:  volume.ErrNoSpace,
		codes.Unavailable:        gluster.ErrUnreachable,
		codes.Internal:           errors.New("surprise"),
		codes.OutOfRange:         status.Error(codes.OutOfRange, "x"),
		codes.OK:                 nil,
	} {
		if got := status.Code(toStatus(err)); got != want {
			t.Errorf("%v has %s, want %s", err, got, want)
		}
	}
}

// troubled is a controller service whose calls end in every way but well.
type troubled struct {
	csi.UnimplementedControllerServer
}

func (troubled) CreateVolume(ctx context.Context, _ *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("no deadline")
	}
	panic("boom")
}

func (troubled) DeleteVolume(context.Context, *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	return nil, fmt.Errorf("volume x: %w", volume.ErrForeign)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTheServerLogsOneLinePerCallWithoutSecretsAndSurvivesPanics(t *testing.T) {
	var log lockedBuffer
	logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log), textlogger.Verbosity(verboseRequest)))
	server := newServer(logger, func(string, error) {})
	csi.RegisterControllerServer(server, troubled{})
	listener, err := listen(t.Context(), "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	client := csi.NewControllerClient(connection)

	_, err = client.CreateVolume(t.Context(), &csi.CreateVolumeRequest{Name: "pvc-1", Secrets: map[string]string{"key": "hunter2"}})
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "boom") {
		t.Errorf("a panic gave %v", err)
	}
	_, err = client.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "pi/gv0/pvc-1"})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("got %v", err)
	}
	server.GracefulStop()

	text := log.String()
	if strings.Contains(text, "hunter2") {
		t.Errorf("a secret is in the log:\n%s", text)
	}
	var calls []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "Call ended") || strings.Contains(line, "Call failed") {
			calls = append(calls, line)
		}
	}
	if len(calls) != 2 {
		t.Fatalf("%d lines for 2 calls:\n%s", len(calls), text)
	}
	for _, word := range []string{"CreateVolume", `name="pvc-1"`, `code="Internal"`, "request=", "ms="} {
		if !strings.Contains(calls[0], word) {
			t.Errorf("the first line does not say %s: %s", word, calls[0])
		}
	}
	for _, word := range []string{"DeleteVolume", `volume="pi/gv0/pvc-1"`, "FailedPrecondition"} {
		if !strings.Contains(calls[1], word) {
			t.Errorf("the second line does not say %s: %s", word, calls[1])
		}
	}
}
