// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// csiVersion is what kubelet wants to hear of every CSI 1.x driver: it knows 1.0.0 and reads no more of it than the first number.
const csiVersion = "1.0.0"

// socket is the registration service on one socket file.
type socket struct {
	registerapi.UnsafeRegistrationServer

	registration Registration
	registered   prometheus.Gauge
	logger       klog.Logger
	path         string
	file         os.FileInfo // the socket as it was made
	server       *grpc.Server
	refused      atomic.Bool // kubelet did not take the driver
}

func newSocket(ctx context.Context, path string, r Registration, registered prometheus.Gauge) (*socket, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for kubelet: %w", err)
	}
	if l, ok := listener.(*net.UnixListener); ok {
		l.SetUnlinkOnClose(false) // the path may be another process's by then; see close
	}
	file, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for kubelet: %w", err), listener.Close())
	}
	s := &socket{registration: r, registered: registered, logger: klog.FromContext(ctx), path: path, file: file, server: grpc.NewServer()}
	registerapi.RegisterRegistrationServer(s.server, s)
	go func() {
		if err := s.server.Serve(listener); err != nil {
			s.logger.Error(err, "The registration with kubelet ended; it is made anew", "socket", path)
			s.refused.Store(true)
		}
	}()
	return s, nil
}

// inPlace says whether the socket's path still is this socket.
func (s *socket) inPlace() bool {
	file, err := os.Lstat(s.path)
	return err == nil && os.SameFile(s.file, file)
}

// close withdraws the driver. It may be called on nil.
func (s *socket) close() {
	if s == nil {
		return
	}
	if s.inPlace() {
		if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.logger.Error(err, "Cannot withdraw the driver from kubelet")
		}
	}
	s.server.Stop()
	s.registered.Set(0)
}

// GetInfo tells kubelet what the driver is called and where it serves CSI.
func (s *socket) GetInfo(context.Context, *registerapi.InfoRequest) (*registerapi.PluginInfo, error) {
	return &registerapi.PluginInfo{
		Type: registerapi.CSIPlugin, Name: s.registration.Driver,
		Endpoint: s.registration.Endpoint, SupportedVersions: []string{csiVersion},
	}, nil
}

// NotifyRegistrationStatus is kubelet's answer. Kubelet calls CSI's NodeGetInfo and writes the CSINode object before.
func (s *socket) NotifyRegistrationStatus(_ context.Context, answer *registerapi.RegistrationStatus) (*registerapi.RegistrationStatusResponse, error) {
	if answer.GetPluginRegistered() {
		s.registered.Set(1)
		s.refused.Store(false)
		s.logger.Info("Registered with kubelet", "driver", s.registration.Driver, "endpoint", s.registration.Endpoint)
	} else {
		s.registered.Set(0)
		s.refused.Store(true)
		s.logger.Error(nil, "Kubelet refused the driver; offering it again", "driver", s.registration.Driver, "endpoint", s.registration.Endpoint, "reason", answer.GetError())
	}
	return &registerapi.RegistrationStatusResponse{}, nil
}
