// SPDX-License-Identifier: Apache-2.0

package inside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// Exec is a Run by the API server and the node's kubelet.
func Exec(config *rest.Config) Run {
	return func(ctx context.Context, in Pod, command []string) ([]byte, error) {
		where, err := execURL(config, in, command)
		if err != nil {
			return nil, err
		}
		executor, err := newExecutor(config, where)
		if err != nil {
			return nil, err
		}
		var stdout, stderr bytes.Buffer
		err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
		var exit exec.ExitError
		switch {
		case err == nil:
			return stdout.Bytes(), nil
		case errors.As(err, &exit) && exit.Exited():
			return stdout.Bytes(), &ExitError{exit.ExitStatus(), strings.TrimSpace(strings.TrimPrefix(stderr.String(), program+": "))}
		case ctx.Err() != nil:
			err = ctx.Err()
		}
		return nil, fmt.Errorf("run %s in pod %s/%s: %w", strings.Join(command, " "), in.Namespace, in.Name, err)
	}
}

func execURL(config *rest.Config, in Pod, command []string) (*url.URL, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	where := base.JoinPath("api", "v1", "namespaces", in.Namespace, "pods", in.Name, "exec")
	where.RawQuery = url.Values{"container": {in.Container}, "command": command, "stdout": {"true"}, "stderr": {"true"}}.Encode()
	return where, nil
}

// newExecutor speaks WebSocket, and SPDY where something on the way does not, as kubectl does.
func newExecutor(config *rest.Config, where *url.URL) (remotecommand.Executor, error) {
	websocket, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, where.String())
	if err != nil {
		return nil, err
	}
	spdy, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, where)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(websocket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}
