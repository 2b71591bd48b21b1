// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/monitor"
)

// newMonitor returns nil if nobody wants it. What it asks need not be served yet.
func (d *Driver) newMonitor(q monitor.Questions) *monitor.Monitor {
	if d.options.HTTPEndpoint == "" {
		return nil
	}
	return monitor.New(d.options.HTTPEndpoint, d.metrics.registry, q)
}

// askCSI asks CSI's identity service, by its endpoint. Each time it dials anew, as kubelet may have to: a connection from before
// would not see that the socket is gone.
func askCSI(endpoint string) (monitor.Questions, error) {
	target, err := dialTarget(endpoint)
	if err != nil {
		return monitor.Questions{}, err
	}
	ask := func(question func(context.Context, csi.IdentityClient) error) func(context.Context) error {
		return func(ctx context.Context) error {
			connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				return err
			}
			defer func() { _ = connection.Close() }()
			return question(ctx, csi.NewIdentityClient(connection))
		}
	}
	return monitor.Questions{
		Alive: ask(func(ctx context.Context, identity csi.IdentityClient) error {
			_, err := identity.GetPluginInfo(ctx, &csi.GetPluginInfoRequest{})
			return err
		}),
		Ready: ask(func(ctx context.Context, identity csi.IdentityClient) error {
			response, err := identity.Probe(ctx, &csi.ProbeRequest{})
			if err == nil && !response.GetReady().GetValue() {
				err = errors.New("the clusters file has not been loaded yet; the log says why")
			}
			return err
		}),
	}, nil
}

// dialTarget is an endpoint as gRPC's clients want it.
func dialTarget(endpoint string) (string, error) {
	network, address, err := parseEndpoint(endpoint)
	if err != nil {
		return "", err
	}
	if network == "unix" {
		return "unix:" + address, nil
	}
	return "passthrough:///" + address, nil
}
