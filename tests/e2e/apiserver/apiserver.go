// SPDX-License-Identifier: Apache-2.0

// Package apiserver starts what of Kubernetes keeps objects, on loopback: etcd, kube-apiserver, and the volume binder
// of kube-controller-manager. There are no nodes, so pods are objects that nobody runs.
package apiserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
)

const (
	startTimeout = 2 * time.Minute // on a busy machine
	stopTimeout  = 30 * time.Second
	token        = "of-the-tests"
)

// controllers are those that work on volumes and claims, and the one that deletes namespaces.
var controllers = []string{"persistentvolume-binder-controller", "persistentvolume-protection-controller", "persistentvolumeclaim-protection-controller", "namespace-controller"}

// Server is a running API server and what belongs to it.
type Server struct {
	Config     *rest.Config
	Kubeconfig string // a file
	dir        string
	processes  []*exec.Cmd
}

// Start builds the programs that are missing, from the modules in that directory, and starts them with their files in
// dir. The caller's thread must live as long as they do: they end with it.
func Start(ctx context.Context, modules, dir string) (*Server, error) {
	names := []string{"etcd", "kube-apiserver", "kube-controller-manager"}
	programs := slices.DeleteFunc(build.Cluster(), func(p build.Program) bool { return !slices.Contains(names, p.Name) })
	if err := build.Ensure(ctx, modules, programs); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s := &Server{dir: dir}
	err := s.start(ctx)
	if err != nil {
		err = errors.Join(err, s.Stop())
	}
	return s, err
}

func (s *Server) start(ctx context.Context) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	etcd, peers, api := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1], "https://127.0.0.1:"+ports[2]
	if err := errors.Join(s.writeKey(), s.writeTokens(), s.writeKubeconfig(api)); err != nil {
		return err
	}
	if err := s.run("etcd", "--data-dir="+filepath.Join(s.dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=default="+peers); err != nil {
		return err
	}
	if err := s.answers(ctx, etcd+"/readyz"); err != nil {
		return err
	}
	if err := s.run("kube-apiserver", "--etcd-servers="+etcd, "--bind-address=127.0.0.1", "--secure-port="+ports[2], "--cert-dir="+filepath.Join(s.dir, "certificates"),
		"--token-auth-file="+filepath.Join(s.dir, "tokens"), "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16", "--disable-admission-plugins=ServiceAccount", "--allow-privileged",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+s.key(), "--service-account-signing-key-file="+s.key()); err != nil {
		return err
	}
	if err := s.answers(ctx, api+"/readyz"); err != nil {
		return err
	}
	// Bound claims are looked at every 15 s by default; here nobody waits for that.
	return s.run("kube-controller-manager", "--kubeconfig="+s.Kubeconfig, "--leader-elect=false", "--pvclaimbinder-sync-period=1s", "--secure-port=0",
		"--controllers="+strings.Join(controllers, ","))
}

// Provision runs the external-provisioner beside a driver, as the driver's manifests do. It ends with the driver.
func (s *Server) Provision(ctx context.Context, modules, socket string) error {
	const name = "csi-provisioner"
	programs := slices.DeleteFunc(build.Cluster(), func(p build.Program) bool { return p.Name != name })
	if err := build.Ensure(ctx, modules, programs); err != nil {
		return err
	}
	return s.run(name, "--kubeconfig="+s.Kubeconfig, "--csi-address="+socket, "--extra-create-metadata", "--timeout=90s", "--retry-interval-max=1s")
}

// run starts a program whose output goes into a file, and which ends with this process.
func (s *Server) run(name string, args ...string) error {
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(build.Path(name), args...)
	cmd.Args[0] = name // not by its path, so that it is not taken for what is left of a cluster of nodes
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.processes = append(s.processes, cmd)
	return nil
}

// answers waits until a URL is answered with 200.
func (s *Server) answers(ctx context.Context, url string) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // its own, made a moment ago on this machine
		DisableKeepAlives: true,
	}}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(response.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; see the logs in %s", url, err, s.dir)
		case <-tick.C:
		}
	}
}

// Stop ends all of it, the last one first.
func (s *Server) Stop() error {
	var err error
	for _, cmd := range slices.Backward(s.processes) {
		err = errors.Join(err, stop(cmd))
	}
	s.processes = nil
	return err
}

func stop(cmd *exec.Cmd) error {
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is of no interest
		close(ended)
	}()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("%s does not end", cmd.Path), cmd.Process.Kill())
	}
}

func (s *Server) key() string { return filepath.Join(s.dir, "service-accounts.key") }

func (s *Server) writeKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(s.key(), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}), 0o600)
}

func (s *Server) writeTokens() error {
	return os.WriteFile(filepath.Join(s.dir, "tokens"), []byte(token+`,admin,admin,"system:masters"`+"\n"), 0o600)
}

func (s *Server) writeKubeconfig(api string) error {
	s.Kubeconfig = filepath.Join(s.dir, "kubeconfig")
	config := clientcmdapi.NewConfig()
	config.Clusters["loopback"] = &clientcmdapi.Cluster{Server: api, InsecureSkipTLSVerify: true}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["loopback"] = &clientcmdapi.Context{Cluster: "loopback", AuthInfo: "admin"}
	config.CurrentContext = "loopback"
	if err := clientcmd.WriteToFile(*config, s.Kubeconfig); err != nil {
		return err
	}
	var err error
	s.Config, err = clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	return err
}

// freePorts are TCP ports of loopback that nobody has now.
func freePorts(count int) ([]string, error) {
	var ports []string
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }() // all at the end, so that they differ
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
