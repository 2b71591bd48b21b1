// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/kubernetes-csi/csi-lib-utils/protosanitizer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/waiting"
)

// verboseRequest is the -v from which whole requests are logged, verboseProbe the one from which kubelet's periodic questions are.
const (
	verboseRequest = 5
	verboseProbe   = 4
)

// newServer returns a gRPC server whose every RPC has an ID, a deadline, one line in
// the log, a status for its error, and no way to end the process by a panic. retried is told of
// each error; outermost sees the status that the caller gets.
func newServer(logger klog.Logger, retried func(method string, err error), outermost ...grpc.UnaryServerInterceptor) *grpc.Server {
	return grpc.NewServer(grpc.ChainUnaryInterceptor(outermost...), grpc.ChainUnaryInterceptor(
		withDeadline,
		withRequest(logger),
		logging.UnaryServerInterceptor(logging.LoggerFunc(logCall), logging.WithLogOnEvents(logging.FinishCall)),
		withStatus(retried),
		recovery.UnaryServerInterceptor(recovery.WithRecoveryHandlerContext(func(ctx context.Context, p any) error {
			klog.FromContext(ctx).Error(nil, "Panic", "panic", p, "stack", string(debug.Stack()))
			return status.Errorf(codes.Internal, "the driver has a bug: %v; its log has the stack", p)
		})),
	))
}

var requests atomic.Uint64

// withRequest gives the context a logger that names the request and the volume in every line.
func withRequest(logger klog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		logger := logger.WithValues("request", strconv.FormatUint(requests.Add(1), 10))
		if r, ok := request.(interface{ GetVolumeId() string }); ok {
			logger = logger.WithValues("volume", r.GetVolumeId())
		} else if r, ok := request.(interface{ GetName() string }); ok {
			logger = logger.WithValues("name", r.GetName())
		}
		if r, ok := request.(interface{ GetTargetPath() string }); ok {
			logger = logger.WithValues("target", r.GetTargetPath())
		}
		logger.V(verboseRequest).Info("Request", "method", info.FullMethod, "request", protosanitizer.StripSecrets(request))
		ctx, stop := waiting.Watch(klog.NewContext(ctx, logger.WithValues("method", info.FullMethod)))
		defer stop()
		return handler(klog.NewContext(ctx, logger), request)
	}
}

// withStatus gives an error its code, and has it counted.
func withStatus(retried func(method string, err error)) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		response, err := handler(ctx, request)
		if err != nil {
			retried(path.Base(info.FullMethod), err)
		}
		return response, toStatus(err)
	}
}

// quiet are the methods that kubelet and the sidecars call all the time.
var quiet = map[string]bool{
	"/csi.v1.Identity/Probe": true, "/csi.v1.Node/NodeGetCapabilities": true, "/csi.v1.Node/NodeGetVolumeStats": true,
	"/csi.v1.Node/NodeGetVolumeHealth": true, "/csi.v1.Node/NodeGetStorageHealth": true,
	"/csi.v1.Identity/GetPluginInfo": true, "/csi.v1.Identity/GetPluginCapabilities": true, "/csi.v1.Controller/ControllerGetCapabilities": true,
}

// logged are the fields of a call's line, in order, with the names they have there. The
// others (peer address, start time, …) say nothing: there is one caller, and klog has the time.
var logged = []struct{ field, name string }{
	{"grpc.method", "method"}, {"grpc.code", "code"}, {"grpc.time_ms", "ms"}, {"grpc.error", "error"},
}

func logCall(ctx context.Context, level logging.Level, _ string, fields ...any) {
	var kept []any
	for _, l := range logged {
		if i := slices.Index(fields, any(l.field)); i >= 0 {
			kept = append(kept, l.name, fields[i+1])
		}
	}
	logger := klog.FromContext(ctx)
	if level >= logging.LevelWarn {
		logger.Error(nil, "Call failed", kept...)
		return
	}
	if method, _ := grpc.Method(ctx); quiet[method] {
		logger = logger.V(verboseProbe)
	}
	logger.Info("Call ended", kept...)
}
