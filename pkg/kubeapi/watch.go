// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// watchFor is how long the API server keeps a watch; then there is a new one.
	watchFor = 5 * time.Minute
	// overdue is how much later this side ends it, should the server be gone without a word.
	overdue = 10 * time.Second
)

// Change is what a watch says of one object.
type Change struct {
	Type   string          `json:"type"` // ADDED, MODIFIED or DELETED
	Object json.RawMessage `json:"object"`
}

// Watch calls fn for each object below a path that is there, as ADDED, and then for each change, one object in memory at
// a time. It returns nil when the API server has ended the watch, after some minutes: the next one begins with all
// objects again. An error of fn ends it, too. The only right that it needs is `watch`.
func (c *Client) Watch(ctx context.Context, path string, fn func(Change) error) error {
	ctx, cancel := context.WithTimeout(ctx, watchFor+overdue)
	defer cancel()
	response, err := c.send(ctx, Request{Method: http.MethodGet, Path: path, Query: url.Values{
		// Without a version to begin after, it begins with all that is there.
		"watch": {"true"}, "timeoutSeconds": {strconv.Itoa(int(watchFor.Seconds()))},
	}})
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(response.Body, answerSize))
		return errors.Join(refused(response, text), err)
	}
	for decoder := json.NewDecoder(response.Body); ; {
		var change Change
		if err := decoder.Decode(&change); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("watch %s: %w", path, err)
		}
		if change.Type == "ERROR" {
			return fmt.Errorf("watch %s: the API server ends it: %s", path, change.Object)
		}
		if err := fn(change); err != nil {
			return err
		}
	}
}
