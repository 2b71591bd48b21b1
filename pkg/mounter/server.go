// SPDX-License-Identifier: Apache-2.0

package mounter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/reconnect"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/rootsocket"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/waiting"
)

const (
	// readTimeout bounds a caller that says nothing, idleTimeout one that says nothing more.
	readTimeout, idleTimeout = 5 * time.Second, time.Minute
	// answerMargin is the time to write an answer after all that a call may take.
	answerMargin = 5 * time.Second
	// shutdownTimeout bounds the calls under way at the end.
	shutdownTimeout = 2 * time.Second
)

// Serve lets the callers of a listener, see Listen, have the clients of a host, until ctx is done. It closes the
// listener. version is this process's.
func Serve(ctx context.Context, listener net.Listener, host *client.Host, version string) error {
	self := ourSide(version)
	var callers callers
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+clientsPath, func(w http.ResponseWriter, r *http.Request) {
		answer(r.Context(), w, host.Clients(), nil)
	})
	mux.HandleFunc("POST "+clientsPath, func(w http.ResponseWriter, r *http.Request) {
		plugin := sideOf(r.Header)
		callers.note(r.Context(), plugin, self)
		var infos []client.Info
		err := checkLayout(self, plugin, "")
		if err == nil {
			infos, err = ensure(w, r, host)
		}
		answer(r.Context(), w, infos, err)
	})
	mux.HandleFunc("POST "+renewPath, func(w http.ResponseWriter, r *http.Request) {
		infos, err := renew(w, r, host)
		answer(r.Context(), w, infos, err)
	})
	telling := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		self.tell(w.Header())
		mux.ServeHTTP(w, r)
	})
	server := &http.Server{
		Handler: telling, ReadTimeout: readTimeout, WriteTimeout: callTimeout + answerMargin, IdleTimeout: idleTimeout,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	return rootsocket.Serve(ctx, server, listener, shutdownTimeout)
}

// callers is the node plugin that asked last.
type callers struct{ last atomic.Pointer[side] }

// note says in the log when it is another than this process or the last one.
func (c *callers) note(ctx context.Context, plugin, self side) {
	before := c.last.Swap(&plugin)
	if plugin != self && (before == nil || *before != plugin) {
		klog.FromContext(ctx).Info("The node plugin is of another version", "nodePlugin", plugin.String(), "own", self.String())
	}
}

func ensure(w http.ResponseWriter, r *http.Request, host *client.Host) ([]client.Info, error) {
	var wanted request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&wanted); err != nil {
		return nil, fmt.Errorf("%w: read it: %w", errRequest, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	ctx, stop := waiting.Watch(klog.NewContext(ctx, klog.FromContext(ctx).WithValues("volume", wanted.Volume, "options", wanted.Options)))
	defer stop()
	c, err := host.Ensure(ctx, wanted.Volume, wanted.Options)
	if err != nil {
		klog.FromContext(ctx).Error(err, "No client for the node plugin", "volume", wanted.Volume, "options",
			wanted.Options)
		return nil, err
	}
	return []client.Info{c.Info()}, nil
}

func renew(w http.ResponseWriter, r *http.Request, host *client.Host) ([]client.Info, error) {
	var wanted renewal
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&wanted); err != nil {
		return nil, fmt.Errorf("%w: read it: %w", errRequest, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	logger := klog.FromContext(ctx).WithValues("pid", wanted.PID)
	info, err := reconnect.Renew(ctx, host, wanted.PID)
	if err != nil {
		logger.Error(err, "A client was not replaced, as an administrator wanted")
		return nil, err
	}
	logger.Info("Replaced a client, as an administrator wanted", "by", info.PID, "volume", info.Volume, "options", info.Options, "version", info.Program)
	return []client.Info{info}, nil
}

// errRequest: not a request of this protocol.
var errRequest = errors.New("bad request to the mounter")

func answer(ctx context.Context, w http.ResponseWriter, infos []client.Info, err error) {
	var body any = infos
	code := http.StatusOK
	switch {
	case errors.Is(err, errRequest):
		code, body = http.StatusBadRequest, describe(err)
	case err != nil:
		code, body = http.StatusServiceUnavailable, describe(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		klog.FromContext(ctx).V(1).Info("A caller has gone before its answer", "reason", err)
	}
}

// Listen is rootsocket.Listen for the node plugin: a host has one mounter.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	return rootsocket.Listen(ctx, path, "the node plugin")
}
