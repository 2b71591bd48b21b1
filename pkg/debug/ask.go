// SPDX-License-Identifier: Apache-2.0

package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Modes are those of the processes that have left a socket in a state directory. One that was killed leaves it, too.
func Modes(stateDir string) []string {
	sockets, _ := filepath.Glob(Socket(stateDir, "*")) // its error is of the pattern
	var modes []string
	for _, s := range sockets {
		mode, _ := strings.CutPrefix(strings.TrimSuffix(filepath.Base(s), ".sock"), "debug-")
		modes = append(modes, mode)
	}
	return modes
}

// Ask asks the process of a socket, and copies what it answers. The page is one of Serve's, with its parameters.
func Ask(ctx context.Context, socket, method, page string, to io.Writer) error {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://process"+page, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s is for root alone: %w", socket, err)
	case err != nil:
		return fmt.Errorf("no process answers at %s: does it run, on this host, with this --state-dir? %w", socket, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(response.Body)
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(why)))
	}
	_, err = io.Copy(to, response.Body)
	return err
}
