// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// endTimeout is how long a process that was told to end may take.
const endTimeout = 15 * time.Second

// service is one process of the driver, to be killed and started again.
type service struct {
	name    string
	binary  string
	args    []string
	log     string          // path; each start appends
	http    string          // address:port of /healthz and /metrics
	groups  containerGroups // that it is started in
	process *exec.Cmd
	exited  chan struct{}
}

// driver is the real binary in its modes on one node.
type driver struct {
	dir           string
	number        int // of the node
	node, mounter *service
	controller    *service           // nil: it is on another node
	controllers   *testdriver.Caller // of its socket; nil without it
	nodes         *testdriver.Caller // of the node plugin's
}

// startDriver runs the driver for the cluster as on the first node of a cluster, which has its controller, with all it
// writes below dir.
func startDriver(ctx context.Context, cluster *testcluster.Cluster, dir string, controllerArgs ...string) (*driver, error) {
	d, err := prepare(ctx, cluster, dir, 0)
	if err != nil {
		return nil, err
	}
	d.controller = d.service("controller", 2, append(controllerArgs, "--endpoint", d.socket("controller"), "--state-dir", filepath.Join(dir, "controller"))...)
	return d, d.start(ctx)
}

// startNode runs what another node has.
func startNode(ctx context.Context, cluster *testcluster.Cluster, dir string) (*driver, error) {
	d, err := prepare(ctx, cluster, dir, 1)
	if err != nil {
		return nil, err
	}
	return d, d.start(ctx)
}

// prepare makes what the driver of a node, counted from 0, needs.
func prepare(ctx context.Context, cluster *testcluster.Cluster, dir string, number int) (*driver, error) {
	d := &driver{dir: dir, number: number}
	for _, sub := range []string{dir, d.pods()} {
		if err := os.Mkdir(sub, 0o755); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(testdriver.Build(ctx, d.binary(), testdriver.Source, raced), cluster.ClustersFile(d.clustersFile())); err != nil {
		return nil, err
	}
	groups, err := makeContainerGroups(number)
	if err != nil {
		return nil, err
	}
	d.mounter = d.service("mounter", 0, "--endpoint", d.socket("mounter"), "--state-dir", d.state())
	d.mounter.groups = groups
	d.node = d.service("node", 1, "--mounter", d.socket("mounter"), "--endpoint", d.socket("node"), "--state-dir", d.state(),
		"--node-id", fmt.Sprintf("pi-worker%d", number+1))
	return d, nil
}

// service is a process of the driver that was not started yet. The process's network namespace is its own, so all ports
// are free.
func (d *driver) service(name string, port int, args ...string) *service {
	http := fmt.Sprintf("127.0.0.1:%d", 29708+3*d.number+port)
	return &service{
		name: name, binary: d.binary(), log: filepath.Join(d.dir, name+".log"), http: http,
		args: append([]string{name, "--clusters", d.clustersFile(), "--http-endpoint", http}, args...),
	}
}

// start starts everything; after an error nothing runs.
func (d *driver) start(ctx context.Context) error {
	err := d.connect()
	for _, s := range d.services() {
		if err == nil {
			err = s.start(ctx)
		}
	}
	if err != nil {
		err = errors.Join(err, d.stop(ctx))
	}
	return err
}

func (d *driver) pods() string              { return filepath.Join(d.dir, "pods") }
func (d *driver) state() string             { return filepath.Join(d.dir, "state") }
func (d *driver) binary() string            { return filepath.Join(d.dir, "glusterfs-csi") }
func (d *driver) clustersFile() string      { return filepath.Join(d.dir, "clusters.yaml") }
func (d *driver) socket(name string) string { return "unix://" + filepath.Join(d.dir, name+".sock") }

// services are in the order in which they start.
func (d *driver) services() []*service {
	if d.controller == nil {
		return []*service{d.mounter, d.node}
	}
	return []*service{d.mounter, d.node, d.controller}
}

// connect connects as kubelet and the provisioner do, but for the pause before a new attempt.
func (d *driver) connect() error {
	quick := grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond},
		MinConnectTimeout: time.Second,
	})
	var err error
	if d.controller != nil {
		d.controllers, err = testdriver.Dial(d.socket("controller"), quick)
	}
	if err == nil {
		d.nodes, err = testdriver.Dial(d.socket("node"), quick)
	}
	return err
}

// stop ends what runs, in the opposite order, and returns an error for what does not end well.
func (d *driver) stop(ctx context.Context) error {
	var err error
	for _, c := range []*testdriver.Caller{d.controllers, d.nodes} {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	d.controllers, d.nodes = nil, nil
	for _, s := range slices.Backward(d.services()) {
		if s.process != nil && s.alive() {
			err = errors.Join(err, s.stop(ctx))
		}
	}
	return errors.Join(err, d.mounter.groups.remove(ctx))
}

// start returns when the process serves.
func (s *service) start(ctx context.Context) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = s.groups.command(s.binary, s.args...)
	s.process.Stdout, s.process.Stderr = log, log
	s.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := s.process.Start(); err != nil {
		return err
	}
	exited, process := make(chan struct{}), s.process
	s.exited = exited
	go func() {
		_ = process.Wait() // its state says how it ended
		close(exited)
	}()
	if err := s.await(ctx); err != nil {
		return fmt.Errorf("start the %s: %w; its log ends with:\n%s", s.name, err, s.tail())
	}
	return nil
}

// await waits until the process answers.
func (s *service) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return testcluster.Poll(ctx, func() error {
		if !s.alive() {
			cancel()
			return fmt.Errorf("it has ended: %s", s.process.ProcessState)
		}
		_, err := s.get(ctx, "/healthz")
		return err
	})
}

func (s *service) alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

func (s *service) pid() int { return s.process.Process.Pid }

// kill ends the process as the kernel does: without a word.
func (s *service) kill() error {
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.exited
	return nil
}

// stop tells the process to end.
func (s *service) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.exited:
		if !s.process.ProcessState.Success() {
			return fmt.Errorf("the %s ended with %s; its log ends with:\n%s", s.name, s.process.ProcessState, s.tail())
		}
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("the %s has not ended %v after SIGTERM; its log ends with:\n%s", s.name, endTimeout, s.tail()), s.kill())
	}
}

// get asks the process's HTTP endpoint.
func (s *service) get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+path, http.NoBody)
	if err != nil {
		return "", err
	}
	request.Close = true // a connection that is kept would count among its descriptors
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s says %s: %s", path, response.Status, body)
	}
	return string(body), err
}

// tail is the end of the log.
func (s *service) tail() string {
	const lines = 20
	all := s.lines()
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (s *service) lines() []string {
	data, err := os.ReadFile(s.log)
	if err != nil {
		return []string{err.Error()}
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}
