// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mounter"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// monitored has the monitor on a free port.
func monitored(o *Options) { o.HTTPEndpoint = "127.0.0.1:0" }

var monitorAddress = regexp.MustCompile(`Serving /healthz.* address="([^"]+)"`)

// get asks the monitor, and returns what it says.
func (r *rig) get(path string) (status int, body string) {
	r.t.Helper()
	testcluster.Eventually(r.t, patience, func() error {
		address := monitorAddress.FindStringSubmatch(r.log.String())
		if address == nil {
			return errors.New("not served yet")
		}
		response, err := http.Get("http://" + address[1] + path)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		status, body = response.StatusCode, string(data)
		return err
	})
	return status, body
}

func (r *rig) wantStatus(path string, status int, words ...string) {
	r.t.Helper()
	testcluster.Eventually(r.t, patience, func() error {
		got, body := r.get(path)
		if got != status {
			return fmt.Errorf("%s: %d %s, want %d", path, got, body, status)
		}
		for _, word := range words {
			if !strings.Contains(body, word) {
				return fmt.Errorf("%s lacks %q:\n%s", path, word, body)
			}
		}
		return nil
	})
}

func TestADriverWithoutAClustersFileIsHealthyButNotReady(t *testing.T) {
	r := serve(t, "", monitored)
	r.wantStatus("/healthz", http.StatusOK, "ok")
	r.wantStatus("/readyz", http.StatusServiceUnavailable, "clusters file")
	r.setClusters(clustersYAML([]string{"127.87.0.1"}, "gv0")) // where nothing is: readiness does not ask
	r.wantStatus("/readyz", http.StatusOK, "ok")
	r.setClusters("clusters: [")
	r.wantStatus("/metrics", http.StatusOK, `glusterfs_csi_clusters_reloads_total{result="error"}`)
	r.wantStatus("/readyz", http.StatusOK, "ok") // the last good one stays in force
}

// TestALongCallSaysWhatItWaitsFor takes the ten seconds after which it says so.
func TestALongCallSaysWhatItWaitsFor(t *testing.T) {
	silent, err := net.Listen("tcp", "127.87.0.3:24007") // accepts, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r := serve(t, clustersYAML([]string{"127.87.0.3"}, "gv0"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := r.controller.CreateVolume(ctx, request("pvc-waits"))
		ended <- err
	}()
	testcluster.Eventually(t, patience, func() error {
		for line := range strings.Lines(r.log.String()) {
			if strings.Contains(line, "Still waiting for the start of a client of pi/gv0, on 127.87.0.3") &&
				strings.Contains(line, "CreateVolume") && strings.Contains(line, "pvc-waits") {
				return nil
			}
		}
		return errors.New("the log does not say what the call waits for")
	})
	cancel()
	if err := <-ended; err == nil {
		t.Error("a volume was made on a server that never answers")
	}
}

func TestTwoDriversOfOneProcessShareNoMetric(t *testing.T) {
	broken, other := serve(t, "clusters: [", monitored), serve(t, "", monitored)
	const refused = `glusterfs_csi_clusters_reloads_total{result="error"}`
	broken.wantStatus("/metrics", http.StatusOK, refused+" 1", "go_goroutines", "process_open_fds")
	if _, body := other.get("/metrics"); !strings.Contains(body, refused+" 0") || !strings.Contains(body, "go_goroutines") {
		t.Errorf("a driver without a clusters file shows\n%s", body)
	}
}

func TestHealthNeverDependsOnGlusterFS(t *testing.T) {
	silent, err := net.Listen("tcp", "127.87.0.2:24007") // accepts, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r := serve(t, clustersYAML([]string{"127.87.0.2"}, "gv0"), monitored)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := r.controller.CreateVolume(ctx, request(newName()))
		ended <- err
	}()
	connection, err := silent.Accept() // so the call waits for GlusterFS now
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	r.wantStatus("/healthz", http.StatusOK, "ok")
	r.wantStatus("/readyz", http.StatusOK, "ok")
	r.wantStatus("/metrics", http.StatusOK, "glusterfs_csi_build_info")
	select {
	case err := <-ended:
		t.Errorf("the call did not wait: %v", err)
	default:
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("a volume was made on a server that never answers")
	}
}

func TestADriverWhoseSocketIsGoneIsNotHealthy(t *testing.T) {
	r := serve(t, "", monitored)
	r.wantStatus("/healthz", http.StatusOK, "ok")
	if err := os.Remove(filepath.Join(r.dir, "csi.sock")); err != nil {
		t.Fatal(err)
	}
	// A connection that is open goes on, as kubelet's would; a new one finds nothing.
	connection, err := grpc.NewClient("unix:"+filepath.Join(r.dir, "csi.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := csi.NewIdentityClient(connection).GetPluginInfo(t.Context(), &csi.GetPluginInfoRequest{}); err == nil {
		t.Fatal("a removed socket was answered")
	}
	r.wantStatus("/healthz", http.StatusServiceUnavailable, "csi.sock")
}

func TestMetricsCountCallsByMethodAndCode(t *testing.T) {
	r := serve(t, clustersYAML(healthy(t).Servers(), "gv0"), monitored)
	v := r.create()
	_, err := r.tryCreate(request(newName(), "uidd", "1"))
	if err == nil {
		t.Fatal("a misspelt parameter was accepted")
	}
	r.wantStatus("/metrics", http.StatusOK,
		`grpc_server_handled_total{grpc_code="OK",grpc_method="CreateVolume",grpc_service="csi.v1.Controller",grpc_type="unary"} 1`,
		`grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="CreateVolume",grpc_service="csi.v1.Controller",grpc_type="unary"} 1`,
		`grpc_server_handling_seconds_count{grpc_method="CreateVolume",grpc_service="csi.v1.Controller",grpc_type="unary"} 2`,
		`glusterfs_csi_clients{cluster="`+testcluster.Name+`",consistency="relaxed",volume="gv0"} 1`,
		`glusterfs_csi_build_info{driver="`+DefaultName+`",mode="all",version="test"} 1`,
		`glusterfs_csi_clusters_reloads_total{result="ok"}`,
		"go_goroutines ", "process_resident_memory_bytes ",
	)
	if err := r.delete(v); err != nil {
		t.Error(err)
	}
}

// The mounter above all: as long as it has not started, no client of the node is started or repaired.
func TestAPortThatIsTakenKeepsNothingFromStarting(t *testing.T) {
	for _, mode := range []Mode{Mounter, All} {
		t.Run(string(mode), func(t *testing.T) {
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			dir := newDir(t)
			o := modeOptions(dir, mode)
			o.HTTPEndpoint = taken.Addr().String()
			r := &rig{t: t, dir: dir, log: &lockedBuffer{}}
			ctx, cancel := context.WithCancel(logTo(r.log))
			d, err := New(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- d.Run(ctx) }()
			defer func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}()
			testcluster.Eventually(t, patience, func() error { return r.asked(o, ended) })
			r.logs("Cannot serve /healthz", "address already in use", "--http-endpoint", o.HTTPEndpoint)
			if err := taken.Close(); err != nil {
				t.Fatal(err)
			}
			r.wantStatus("/healthz", http.StatusOK, "ok")
		})
	}
}

// asked is what the process says of itself through its own socket.
func (r *rig) asked(o Options, ended chan error) error {
	r.t.Helper()
	select {
	case err := <-ended:
		ended <- nil // for the one who waits at the end
		r.t.Fatalf("it has ended: %v", err)
	default:
	}
	ctx, cancel := r.context()
	defer cancel()
	if o.Mode == Mounter {
		_, path, err := parseEndpoint(o.Endpoint)
		if err == nil {
			_, err = mounter.NewClient(path, "test", "").List(ctx)
		}
		return err
	}
	questions, err := askCSI(o.Endpoint)
	if err == nil {
		err = questions.Alive(ctx)
	}
	return err
}

// logs waits until one line of the log says all of the words.
func (r *rig) logs(words ...string) {
	r.t.Helper()
	testcluster.Eventually(r.t, patience, func() error {
		for line := range strings.Lines(r.log.String()) {
			if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
				return nil
			}
		}
		return fmt.Errorf("no line of the log says %q:\n%s", words, r.log)
	})
}

func TestKubeletFindsTheNodeService(t *testing.T) {
	r := serve(t, "", func(o *Options) {
		o.KubeletDir = filepath.Dir(o.StateDir)
		o.Mode = Node
	})
	socket := filepath.Join(r.dir, "plugins_registry", DefaultName+"-reg.sock")
	dial := func(path string) *grpc.ClientConn {
		connection, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		return connection
	}
	ctx, cancel := r.context()
	defer cancel()
	info, err := registerapi.NewRegistrationClient(dial(socket)).GetInfo(ctx, &registerapi.InfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	node, err := csi.NewNodeClient(dial(info.GetEndpoint())).NodeGetInfo(ctx, &csi.NodeGetInfoRequest{})
	if err != nil || node.GetNodeId() != "pi-worker1" {
		t.Errorf("node %v, %v", node, err)
	}
}

func TestEndpointsThatCannotWork(t *testing.T) {
	for want, spoil := range map[string]func(o *Options){
		"--http-endpoint":   func(o *Options) { o.HTTPEndpoint = "29708" },
		"value out of ran":  func(o *Options) { o.HTTPEndpoint = "127.0.0.1:297080" },
		"--kubelet-dir \"":  func(o *Options) { o.KubeletDir = "var/lib/kubelet" },
		"needs a unix sock": func(o *Options) { o.KubeletDir, o.Endpoint = "/var/lib/kubelet", "tcp://127.0.0.1:1" },
	} {
		bad := options(t.TempDir())
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestAControllerDoesNotRegisterWithKubelet(t *testing.T) {
	o := options(t.TempDir())
	o.KubeletDir = "/var/lib/kubelet"
	for mode, want := range map[Mode]bool{Controller: false, Node: true, All: true} {
		o.Mode = mode
		if r, got := o.registration(); got != want || r.Driver != DefaultName || "unix://"+r.Endpoint != o.Endpoint {
			t.Errorf("%s: %+v, %t", mode, r, got)
		}
	}
}
