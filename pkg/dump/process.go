// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// askWithin bounds one question to the process that serves.
	askWithin = 5 * time.Second
	// pageSize bounds an answer, in bytes.
	pageSize = 8 << 20
)

// ask reads a page of the process that serves on this host.
func (h Host) ask(ctx context.Context, page string) (string, error) {
	address, port, err := net.SplitHostPort(h.HTTPEndpoint)
	if err != nil {
		return "", fmt.Errorf("--http-endpoint: %w", err)
	}
	if ip := net.ParseIP(address); address == "" || ip.IsUnspecified() {
		address = "127.0.0.1" // it listens on every address
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(address, port)+"/"+page, nil)
	if err != nil {
		return "", err
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return "", fmt.Errorf("the driver's process does not answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, pageSize))
	if err == nil && response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the driver's process answers %s to /%s: it may be older than this command", response.Status, page)
	}
	return string(body), err
}
