// SPDX-License-Identifier: Apache-2.0

package inside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrRefused says that the driver ran a command, and it failed.
var ErrRefused = errors.New("the controller says")

// Ask runs a command of glusterfs-csi in the running controller and returns what it printed, also if it failed.
type Ask func(ctx context.Context, args ...string) ([]byte, error)

// List reads what a command lists as JSON. One Gluster volume that is silent does not hide the others: the error is of what is
// missing in the list.
func List[T any](ctx context.Context, ask Ask, args ...string) ([]T, error) {
	text, failed := ask(ctx, append(args, "-o", "json")...)
	var items []T
	if len(text) == 0 && failed != nil {
		return nil, failed
	}
	if err := json.Unmarshal(text, &items); err != nil {
		return nil, errors.Join(failed, fmt.Errorf("the driver's answer is not understood: %w: is it of another version? See `kubectl glusterfs doctor`", err))
	}
	return items, failed
}
