// SPDX-License-Identifier: Apache-2.0

// Package debug serves what helps to find out what a running process does: its goroutines, profiles, metrics and how much
// it logs. It is asked over a unix socket in the state directory, which root alone can use: a mounter, which nobody may
// restart without ending I/O, can be looked at while it runs.
//
//	GET  /goroutines         what each goroutine does, with its stack
//	GET  /profile?name=heap  one of runtime/pprof's profiles, or `cpu` for the next so many &seconds
//	GET  /metrics            as for Prometheus
//	GET  /log-level          -v
//	PUT  /log-level          -v from now on, until the process ends
package debug

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/rootsocket"
)

const (
	headerTimeout = 5 * time.Second
	// maxSeconds bounds a CPU profile, and so the time of a request.
	maxSeconds = 300
	// goroutinesSize bounds what is said of goroutines, in bytes.
	goroutinesSize = 8 << 20
)

// Socket is where a process of this mode serves in a state directory.
func Socket(stateDir, mode string) string { return filepath.Join(stateDir, "debug-"+mode+".sock") }

// Serve serves until ctx is done. Nothing hangs on it: where it cannot, it says so in the log and returns.
func Serve(ctx context.Context, socket string, metrics prometheus.Gatherer) {
	logger := klog.FromContext(ctx)
	listener, err := rootsocket.Listen(ctx, socket, "`glusterfs-csi debug`")
	if err != nil {
		logger.Error(err, "This process cannot be looked at by `glusterfs-csi debug`; all else goes on")
		return
	}
	server := &http.Server{Handler: handler(ctx, metrics), ReadHeaderTimeout: headerTimeout}
	if err := rootsocket.Serve(ctx, server, listener, time.Second); err != nil {
		logger.Error(err, "This process cannot be looked at by `glusterfs-csi debug` any more")
	}
}

func handler(ctx context.Context, metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /goroutines", func(w http.ResponseWriter, _ *http.Request) {
		stacks := make([]byte, goroutinesSize)
		_, _ = w.Write(stacks[:runtime.Stack(stacks, true)])
	})
	mux.HandleFunc("GET /profile", func(w http.ResponseWriter, r *http.Request) {
		if err := profile(r.Context(), w, r.FormValue("name"), r.FormValue("seconds")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /log-level", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, logLevel()) })
	mux.HandleFunc("PUT /log-level", func(w http.ResponseWriter, r *http.Request) {
		before := logLevel()
		if err := setLogLevel(r.FormValue("v")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		klog.FromContext(ctx).Info("The log level was changed by `glusterfs-csi debug`", "before", before, "now", logLevel())
		fmt.Fprintln(w, logLevel())
	})
	return mux
}

// cpuProfile is the one that takes time.
const cpuProfile = "cpu"

// Profiles are the names of all profiles.
func Profiles() []string {
	names := []string{cpuProfile}
	for _, p := range pprof.Profiles() {
		names = append(names, p.Name())
	}
	slices.Sort(names)
	return names
}

func profile(ctx context.Context, w io.Writer, name, length string) error {
	if name == cpuProfile {
		seconds, err := strconv.Atoi(length)
		if err != nil || seconds < 1 || seconds > maxSeconds {
			return fmt.Errorf("a CPU profile takes 1 to %d seconds, not %q", maxSeconds, length)
		}
		if err := pprof.StartCPUProfile(w); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(seconds) * time.Second):
		}
		return nil
	}
	p := pprof.Lookup(name)
	if p == nil {
		return fmt.Errorf("there is no profile %q, but %s", name, strings.Join(Profiles(), ", "))
	}
	return p.WriteTo(w, 0)
}

// klogFlags are klog's, which are the only way to ask it for its level.
func klogFlags() *flag.FlagSet {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	return flags
}

func logLevel() string { return klogFlags().Lookup("v").Value.String() }

func setLogLevel(level string) error {
	if n, err := strconv.ParseUint(level, 10, 8); err != nil || n > maxLevel {
		return fmt.Errorf("a log level is 0 to %d, not %q", maxLevel, level)
	}
	return klogFlags().Set("v", level)
}

const maxLevel = 10
