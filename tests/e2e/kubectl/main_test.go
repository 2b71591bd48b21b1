// SPDX-License-Identifier: Apache-2.0

// Package kubectl tests `kubectl glusterfs` on a real API server with the real volume binder, where objects of the old
// plugin are accepted and claims are bound to them, as in every cluster since 1.26; and with the driver, the
// external-provisioner and a real Gluster volume beside it. There is no kubelet: what it would run in a pod of the
// driver runs here. What pods then read is in the story.
package kubectl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/apiserver"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// stopAt is an environment variable: the process is the plugin, and is killed before the change of that number. 0: it
// is not.
const stopAt = "KILLED_BEFORE_CHANGE"

// patience is for what controllers do, on a busy machine, and for a lease of two minutes to be over.
const patience = 5 * time.Minute

var (
	server *apiserver.Server
	client dynamic.Interface
	kinds  *discovery.DiscoveryClient
)

func TestMain(m *testing.M) {
	if at := os.Getenv(stopAt); at != "" {
		os.Exit(plugin(at, os.Args[1:]))
	}
	testcluster.Main(suite{m})
}

// suite is the tests, with what all of them need.
type suite struct{ tests *testing.M }

func (s suite) Run() int {
	runtime.LockOSThread() // the server's processes end with the thread that started them
	dir, err := os.MkdirTemp("", "kubectl-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err = apiserver.Start(context.Background(), "../modules", dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := 1
	if err = connect(); err == nil {
		err = startDriver(context.Background())
	}
	if err == nil {
		code = s.tests.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := errors.Join(stopDriver(), server.Stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// connect makes the clients of the API server.
func connect() (err error) {
	server.Config.QPS, server.Config.Burst = 200, 400
	server.Config.WarningHandler = rest.NoWarnings{} // objects of the old plugin are what this is about
	if client, err = dynamic.NewForConfig(server.Config); err == nil {
		kinds, err = discovery.NewDiscoveryClientForConfig(server.Config)
	}
	return err
}

// plugin is kubectl-glusterfs, which kills itself before its nth change of the cluster.
func plugin(at string, args []string) int {
	n, err := strconv.Atoi(at)
	if err != nil {
		return 1
	}
	env := cli.Process("test")
	env.Run = runHere
	env.Step = func(point string) error {
		if n--; n != 0 {
			return nil
		}
		fmt.Fprintln(os.Stderr, "killed before:", point)
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return cli.Run(context.Background(), env, args)
}

// kubectl runs `kubectl glusterfs` and returns its exit code and what it printed.
func kubectl(t *testing.T, args ...string) (code int, out, progress string) {
	t.Helper()
	return kubectlAt(t, nil, args...)
}

// kubectlAt is kubectl with a function that is called before each change.
func kubectlAt(t *testing.T, step func(point string) error, args ...string) (code int, out, progress string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code = cli.Run(ctx, cli.Environment{Version: "test", Out: &stdout, Err: &stderr, Run: runHere, Step: step}, append(args, "--kubeconfig", server.Kubeconfig))
	t.Logf("kubectl glusterfs %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout.String(), stderr.String())
	return code, stdout.String(), stderr.String()
}

// succeeds runs it and wants one of these exit codes.
func succeeds(t *testing.T, codes []int, args ...string) {
	t.Helper()
	code, _, progress := kubectl(t, args...)
	for _, want := range codes {
		if code == want {
			return
		}
	}
	t.Fatalf("kubectl glusterfs %s: exit %d, %s", strings.Join(args, " "), code, progress)
}

// killed runs it in a process that is killed before its nth change. It says whether the process got so far.
func killed(t *testing.T, n int, args ...string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := command(ctx, n, args...)
	output, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		t.Logf("%s", lastLine(string(output)))
		return true
	}
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitDone && code != cli.ExitLeft {
		t.Fatalf("%v: %v\n%s", args, err, output)
	}
	return false
}

// command is the plugin as a process of its own, which is killed before its nth change. 0: it is not.
func command(ctx context.Context, n int, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append(args, "--kubeconfig", server.Kubeconfig)...)
	cmd.Env = append(os.Environ(), stopAt+"="+strconv.Itoa(n))
	return cmd
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
