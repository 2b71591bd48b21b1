// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// errorCodes is the one place that gives errors their gRPC codes. The first kind that
// an error is decides: "try again" comes before the reason why.
var errorCodes = []struct {
	kind error
	code codes.Code
}{
	{volume.ErrBusy, codes.Aborted},
	{context.DeadlineExceeded, codes.DeadlineExceeded},
	{context.Canceled, codes.Canceled},
	{volume.ErrUnfinished, codes.Unavailable},
	{gluster.ErrRestricted, codes.FailedPrecondition},
	{volume.ErrInvalid, codes.InvalidArgument},
	{gluster.ErrOption, codes.InvalidArgument},
	{volume.ErrIncompatible, codes.AlreadyExists},
	{volume.ErrForeign, codes.FailedPrecondition},
	{volume.ErrTwoNames, codes.FailedPrecondition},
	{volume.ErrNested, codes.FailedPrecondition},
	{volume.ErrNotFound, codes.NotFound},
	{volume.ErrTooLarge, codes.OutOfRange},
	{volume.ErrProvisioned, codes.ResourceExhausted},
	{volume.ErrUnlimited, codes.FailedPrecondition},
	{volume.ErrHeld, codes.FailedPrecondition},
	{volume.ErrReadOnly, codes.FailedPrecondition},
	{volume.ErrRefused, codes.PermissionDenied},
	{volume.ErrNoSpace, codes.ResourceExhausted},
	{volume.ErrDisconnected, codes.Unavailable},
	{kubeapi.ErrSilent, codes.Unavailable},
	{volume.ErrSplitBrain, codes.Unavailable},
	{volume.ErrNewer, codes.FailedPrecondition},
	{volume.ErrCorrupt, codes.Internal},
	{gluster.ErrNotLoaded, codes.Unavailable},
	{gluster.ErrUnknownCluster, codes.FailedPrecondition},
	{gluster.ErrUnknownVolume, codes.FailedPrecondition},
	{gluster.ErrAmbiguous, codes.FailedPrecondition},
	{gluster.ErrNoSuchVolume, codes.FailedPrecondition},
	{gluster.ErrNotStarted, codes.Unavailable},
	{gluster.ErrNotConnected, codes.Unavailable},
	{gluster.ErrUnreachable, codes.Unavailable},
}

// toStatus gives an error its code; one that has one keeps it, and one of no known kind
// is Internal. Its text becomes an event, which is one line.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, has := status.FromError(err); has {
		return err
	}
	for _, e := range errorCodes {
		if errors.Is(err, e.kind) {
			return status.Error(e.code, line(err))
		}
	}
	return status.Error(codes.Internal, line(err))
}

func line(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// isFinal says whether kubelet takes a failed NodePublishVolume with this code for a
// volume that is not mounted (kubernetes/pkg/volume/csi: only these leave it uncertain).
func isFinal(err error) bool {
	switch status.Code(err) {
	case codes.OK, codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.ResourceExhausted, codes.Aborted:
		return false
	}
	return true
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}
