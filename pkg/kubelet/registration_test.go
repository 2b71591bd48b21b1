// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// promptly is shorter than the time until a plugin that is offered is tried again: what comes within it comes by a change seen, not by a retry.
const promptly = 30 * time.Second

// plugin is a registration being served.
type plugin struct {
	Registration
	t    *testing.T
	stop func()
	log  *lockedBuffer

	registry *prometheus.Registry
}

// offer serves a registration in a kubelet directory of its own, which has no registry yet.
func offer(t *testing.T, kubeletDir string) *plugin {
	t.Helper()
	return offerWith(t, kubeletDir, time.Hour)
}

func offerWith(t *testing.T, kubeletDir string, retry time.Duration) *plugin {
	t.Helper()
	p := &plugin{t: t, log: &lockedBuffer{}, registry: prometheus.NewRegistry(), Registration: Registration{Driver: "glusterfs.csi.gluster.org", Endpoint: "/var/lib/kubelet/plugins/x/csi.sock", KubeletDir: kubeletDir}}
	logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(p.log)))
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logger))
	ended := make(chan struct{})
	go func() {
		p.serve(ctx, p.registry, retry)
		close(ended)
	}()
	p.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("the log:\n%s", p.log)
		}
	})
	return p
}

// newKubeletDir has a name that is short enough for a socket below it.
func newKubeletDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "k") //nolint:usetesting // t.TempDir is named after the test, too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// kubelet does what kubelet does when it sees a socket: asks, and answers.
func (p *plugin) kubelet(answer *registerapi.RegistrationStatus) (*registerapi.PluginInfo, error) {
	connection, err := grpc.NewClient("unix://"+p.socketPath(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(p.t.Context(), promptly)
	defer cancel()
	client := registerapi.NewRegistrationClient(connection)
	info, err := client.GetInfo(ctx, &registerapi.InfoRequest{})
	if err != nil {
		return nil, err
	}
	_, err = client.NotifyRegistrationStatus(ctx, answer)
	return info, err
}

// metric is what Prometheus sees.
func (p *plugin) metric() float64 {
	p.t.Helper()
	families, err := p.registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 {
		p.t.Fatalf("got %v, %v, want one metric", families, err)
	}
	metric := families[0].GetMetric()[0]
	if families[0].GetName() != "glusterfs_csi_kubelet_registered" || metric.GetLabel()[0].GetValue() != p.Driver {
		p.t.Fatalf("got %v", families[0])
	}
	return metric.GetGauge().GetValue()
}

// registers waits until a kubelet can register the plugin.
func (p *plugin) registers(within time.Duration) {
	p.t.Helper()
	testcluster.Eventually(p.t, within, func() error {
		_, err := p.kubelet(&registerapi.RegistrationStatus{PluginRegistered: true})
		return err
	})
}

func TestKubeletLearnsNameEndpointAndVersion(t *testing.T) {
	p := offer(t, newKubeletDir(t))
	p.registers(promptly)
	info, err := p.kubelet(&registerapi.RegistrationStatus{PluginRegistered: true})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(info.GetType(), " ", info.GetName(), " ", info.GetEndpoint(), " ", info.GetSupportedVersions())
	if want := "CSIPlugin glusterfs.csi.gluster.org /var/lib/kubelet/plugins/x/csi.sock [1.0.0]"; got != want {
		t.Errorf("kubelet was told %q, want %q", got, want)
	}
	if value := p.metric(); value != 1 {
		t.Errorf("the metric says %v after kubelet took the driver", value)
	}
}

func TestItIsOfferedAgainWhen(t *testing.T) {
	for name, disturb := range map[string]func(p *plugin) error{
		"the socket is removed": func(p *plugin) error { return os.Remove(p.socketPath()) },
		"the registry is removed": func(p *plugin) error {
			return os.RemoveAll(filepath.Dir(p.socketPath()))
		},
		"the registry is removed and made anew by kubelet": func(p *plugin) error {
			registry := filepath.Dir(p.socketPath())
			return errors.Join(os.RemoveAll(registry), os.MkdirAll(registry, 0o755))
		},
		"the registry is replaced by rename": func(p *plugin) error {
			registry := filepath.Dir(p.socketPath())
			return errors.Join(os.Rename(registry, registry+".old"), os.MkdirAll(registry, 0o755))
		},
		"another file took its place": func(p *plugin) error {
			return errors.Join(os.WriteFile(p.socketPath()+".x", nil, 0o600), os.Rename(p.socketPath()+".x", p.socketPath()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := offer(t, newKubeletDir(t))
			p.registers(promptly)
			for range 2 { // the second time with a watch that was made anew
				if err := disturb(p); err != nil && !errors.Is(err, os.ErrExist) {
					t.Fatal(err)
				}
				p.registers(promptly)
				os.RemoveAll(filepath.Dir(p.socketPath()) + ".old")
			}
		})
	}
}

func TestAKubeletThatRestartsFindsTheSameSocket(t *testing.T) {
	p := offer(t, newKubeletDir(t))
	p.registers(promptly)
	before, err := os.Stat(p.socketPath())
	if err != nil {
		t.Fatal(err)
	}
	p.registers(promptly)
	if after, err := os.Stat(p.socketPath()); err != nil || !os.SameFile(before, after) {
		t.Errorf("the socket was replaced without need: %v", err)
	}
}

func TestADriverThatKubeletRefusedIsOfferedOnANewSocket(t *testing.T) {
	p := offerWith(t, newKubeletDir(t), time.Second)
	p.registers(promptly)
	before, err := os.Stat(p.socketPath())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.kubelet(&registerapi.RegistrationStatus{Error: "no CSINode today"}); err != nil {
		t.Fatal(err)
	}
	if value := p.metric(); value != 0 {
		t.Errorf("the metric says %v after kubelet refused the driver", value)
	}
	testcluster.Eventually(t, promptly, func() error {
		after, err := os.Stat(p.socketPath())
		if err == nil && after.ModTime().Equal(before.ModTime()) {
			err = errors.New("still the old socket")
		}
		return err
	})
	p.registers(promptly)
	if !strings.Contains(p.log.String(), "no CSINode today") {
		t.Error("the log does not say why kubelet refused")
	}
}

func TestTheSocketOfAKilledProcessIsReplaced(t *testing.T) {
	dir := newKubeletDir(t)
	killed := Registration{Driver: "glusterfs.csi.gluster.org", KubeletDir: dir}
	if err := errors.Join(os.Mkdir(filepath.Dir(killed.socketPath()), 0o755), os.WriteFile(killed.socketPath(), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	offer(t, dir).registers(promptly)
}

func TestAKubeletDirectoryThatIsMissingIsSaidOnceAndWaitedFor(t *testing.T) {
	dir := filepath.Join(newKubeletDir(t), "later")
	p := offerWith(t, dir, time.Second)
	testcluster.Eventually(t, promptly, func() error {
		if !strings.Contains(p.log.String(), "--kubelet-dir") {
			return errors.New("the log does not name the flag")
		}
		return nil
	})
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p.registers(promptly)
	if n := strings.Count(p.log.String(), "--kubelet-dir"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestAStoppedDriverIsWithdrawn(t *testing.T) {
	p := offer(t, newKubeletDir(t))
	p.registers(promptly)
	p.stop()
	if _, err := os.Lstat(p.socketPath()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestAStoppedDriverLeavesItsSuccessorsSocket(t *testing.T) {
	p := offer(t, newKubeletDir(t))
	p.registers(promptly)
	info, err := os.Stat(filepath.Dir(p.socketPath())) // another file than the one that is there
	if err != nil {
		t.Fatal(err)
	}
	predecessor := &socket{path: p.socketPath(), file: info, server: grpc.NewServer(), registration: p.Registration, registered: prometheus.NewGauge(prometheus.GaugeOpts{})}
	predecessor.close()
	p.registers(promptly)
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
