// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
)

// parseEndpoint takes unix:///path, unix:path and tcp://address:port apart.
func parseEndpoint(endpoint string) (network, address string, err error) {
	u, err := url.Parse(endpoint)
	if err == nil {
		switch {
		case u.Scheme == "unix" && filepath.IsAbs(u.Host+u.Path):
			return "unix", u.Host + u.Path, nil
		case u.Scheme == "tcp" && u.Port() != "" && u.Path == "":
			return "tcp", u.Host, nil
		}
	}
	return "", "", fmt.Errorf("--endpoint %q is neither unix:///path nor tcp://address:port", endpoint)
}

// listen opens the endpoint. The socket of a process that was killed is replaced.
func listen(ctx context.Context, endpoint string) (net.Listener, error) {
	network, address, err := parseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		if err := os.MkdirAll(filepath.Dir(address), 0o750); err != nil {
			return nil, fmt.Errorf("make the directory of --endpoint: %w", err)
		}
		if err := removeSocket(address); err != nil {
			return nil, err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on --endpoint %s: %w", endpoint, err)
	}
	return listener, nil
}

func removeSocket(path string) error {
	info, err := os.Lstat(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err == nil && info.Mode().Type() != os.ModeSocket {
		err = fmt.Errorf("%s is there and is no socket", path)
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return fmt.Errorf("replace the socket of --endpoint: %w", err)
	}
	return nil
}
