// SPDX-License-Identifier: Apache-2.0

package inside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"k8s.io/client-go/rest"
)

// ErrNoPredecessor says that a container runs for the first time in its pod.
var ErrNoPredecessor = errors.New("the container has not run before")

// Log reads what a container has logged since a time, or the one before it, and hands it to a reader of the whole.
type Log func(ctx context.Context, in Pod, container string, previous bool, since time.Time, read func(io.Reader) error) error

// Logs is a Log by the API server and the node's kubelet.
func Logs(config *rest.Config) (Log, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, in Pod, container string, previous bool, since time.Time, read func(io.Reader) error) error {
		where := base.JoinPath("api", "v1", "namespaces", in.Namespace, "pods", in.Name, "log")
		query := url.Values{"container": {container}}
		if previous {
			query.Set("previous", "true")
		}
		if !since.IsZero() {
			query.Set("sinceTime", since.UTC().Format(time.RFC3339))
		}
		where.RawQuery = query.Encode()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode == http.StatusOK {
			return read(response.Body)
		}
		return refused(response, previous)
	}, nil
}

// refused is what the API server says. A container without predecessor is a bad request to it.
func refused(response *http.Response, previous bool) error {
	const enough = 64 << 10
	var status struct {
		Message string `json:"message"`
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, enough))
	if json.Unmarshal(body, &status) != nil || status.Message == "" {
		status.Message = response.Status
	}
	if previous && response.StatusCode == http.StatusBadRequest {
		return ErrNoPredecessor
	}
	return fmt.Errorf("the API server says: %s", status.Message)
}
