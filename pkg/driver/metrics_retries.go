// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// retryReasons are the values of a label, for the kinds of errors after which a caller tries again. The first kind that an
// error is decides, and it is not always the one that decides about the code: why somebody has to wait says more.
var retryReasons = []struct {
	kind   error
	reason string
}{
	{gluster.ErrNotLoaded, "clusters file"},
	{gluster.ErrNotStarted, "volume not started"},
	{gluster.ErrNotConnected, "bricks"},
	{gluster.ErrUnreachable, "unreachable"},
	{volume.ErrDisconnected, "bricks"},
	{volume.ErrSplitBrain, "split-brain"},
	{volume.ErrUnfinished, "volume option"},
	{kubeapi.ErrSilent, "API server"},
	{volume.ErrProvisioned, "maxProvisioned"},
	{volume.ErrNoSpace, "no space"},
	{volume.ErrBusy, "busy"},
	{context.DeadlineExceeded, "timeout"},
	{context.Canceled, "caller left"},
}

// otherReason is that of an error of no known kind.
const otherReason = "other"

func newRetries(registry prometheus.Registerer) *prometheus.CounterVec {
	return promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "glusterfs_csi_retries_total",
		Help: "CSI calls that have ended with an error after which the caller tries again, by reason.",
	}, []string{"grpc_method", "reason"})
}

// retry counts a call's error, if the caller is to try again.
func (m *metrics) retry(method string, err error) {
	if reason, isRetried := retryReason(err); isRetried {
		m.retries.WithLabelValues(method, reason).Inc()
	}
}

func retryReason(err error) (reason string, isRetried bool) {
	switch status.Code(toStatus(err)) {
	case codes.Aborted, codes.Canceled, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unavailable:
	default:
		return "", false
	}
	for _, r := range retryReasons {
		if errors.Is(err, r.kind) {
			return r.reason, true
		}
	}
	return otherReason, true
}
