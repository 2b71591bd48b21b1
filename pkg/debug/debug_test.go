// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package debug

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const callerVariable = "DEBUG_TEST_SOCKET"

func TestMain(m *testing.M) {
	if socket := os.Getenv(callerVariable); socket != "" {
		if err := Ask(context.Background(), socket, "GET", "/goroutines", os.Stdout); err != nil {
			_, _ = os.Stdout.WriteString(err.Error())
		}
		return
	}
	os.Exit(m.Run())
}

const patience = 30 * time.Second

// served is a socket at which this process can be asked, until the test ends.
func served(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // so that the socket alone decides
		t.Fatal(err)
	}
	socket := Socket(dir, "mounter")
	registry := prometheus.NewRegistry()
	promauto.With(registry).NewGauge(prometheus.GaugeOpts{Name: "answer", Help: "Always 42."}).Set(42)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); Serve(ctx, socket, registry) }()
	t.Cleanup(func() { stop(); <-ended; _ = os.RemoveAll(dir) })
	testcluster.Eventually(t, patience, func() error {
		_, err := ask(t, socket, "GET", "/log-level")
		return err
	})
	return socket
}

func ask(t *testing.T, socket, method, page string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Ask(t.Context(), socket, method, page, &out)
	return out.String(), err
}

func TestAProcessTellsWhatItDoes(t *testing.T) {
	socket := served(t)
	if modes := Modes(filepath.Dir(socket)); len(modes) != 1 || modes[0] != "mounter" {
		t.Errorf("the processes there are %q", modes)
	}
	for page, want := range map[string]string{
		"/goroutines": "TestAProcessTellsWhatItDoes", "/metrics": "answer 42", "/profile?name=heap": "\x1f\x8b",
		"/profile?name=goroutine": "\x1f\x8b", "/profile?name=cpu&seconds=1": "\x1f\x8b", "/log-level": "0",
	} {
		if got, err := ask(t, socket, "GET", page); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %v: %.200q", page, err, got)
		}
	}
	for page, want := range map[string]string{
		"/profile?name=none": "heap", "/profile?name=cpu&seconds=301": "1 to 300", "/profile?name=cpu": "1 to 300", "/secrets": "404",
	} {
		if got, err := ask(t, socket, "GET", page); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v: %.200q", page, err, got)
		}
	}
}

func TestTheLogLevelOfARunningProcessIsChanged(t *testing.T) {
	socket := served(t)
	defer func() { _ = setLogLevel("0") }()
	for level, want := range map[string]string{"11": "0 to 10", "-1": "0 to 10", "": "0 to 10", "high": "0 to 10"} {
		if _, err := ask(t, socket, "PUT", "/log-level?v="+level); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("level %q: %v", level, err)
		}
	}
	if got, err := ask(t, socket, "PUT", "/log-level?v=5"); err != nil || got != "5\n" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := ask(t, socket, "GET", "/log-level"); err != nil || got != "5\n" || logLevel() != "5" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestOnlyRootLooksAtAProcess has another user ask, for whom the directory is open.
func TestOnlyRootLooksAtAProcess(t *testing.T) {
	socket := served(t)
	for uid, want := range map[uint32]string{0: "goroutine ", 65534: "is for root alone"} {
		process := exec.CommandContext(t.Context(), "/proc/self/exe")
		process.Env = append(os.Environ(), callerVariable+"="+socket)
		process.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		output, err := process.Output()
		if err != nil || !strings.Contains(string(output), want) {
			t.Errorf("user %d: %v: %.200q", uid, err, output)
		}
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

// A process that cannot be looked at does its work.
func TestWhatCannotBeServedEndsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "debug-node.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	Serve(t.Context(), path, prometheus.NewRegistry())
	if data, err := os.ReadFile(path); string(data) != "precious" {
		t.Errorf("%q, %v", data, errors.Join(err))
	}
}
