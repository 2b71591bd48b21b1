// SPDX-License-Identifier: Apache-2.0

// Command floor is the least that a driver in Go can be: a gRPC server with the driver's own
// imports that answers Probe and nothing else. Its memory is the floor of the driver's.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	_ "github.com/glusterfs-csi/glusterfs-csi/pkg/driver" // for what its imports set up at the start
)

type identity struct {
	csi.UnimplementedIdentityServer
}

// Probe answers at once.
func (identity) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

func main() {
	c := &cobra.Command{Use: "floor SOCKET", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error { return serve(args[0]) }}
	if err := c.Execute(); err != nil {
		os.Exit(1)
	}
}

func serve(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := grpc.NewServer()
	csi.RegisterIdentityServer(server, identity{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		server.Stop()
	}()
	return server.Serve(listener)
}
