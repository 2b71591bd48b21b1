// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

const (
	// rpcTimeout is the deadline of a caller that sets none. It is above GlusterFS's
	// ping-timeout (42 s), after which a volume with a silent server goes on.
	rpcTimeout = 60 * time.Second
	// answerMargin is how long before the caller's deadline, at most, the driver gives up:
	// an answer that is late is never read, and "context deadline exceeded" says nothing.
	answerMargin = time.Second
)

// withDeadline bounds a call.
func withDeadline(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	limit := rpcTimeout
	if deadline, bounded := ctx.Deadline(); bounded {
		limit = time.Until(deadline)
		limit -= min(limit/10, answerMargin)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return handler(ctx, request)
}
