// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"errors"
)

// The kinds of failure that a caller acts on differently. Every error of this package that is one of them wraps it;
// its text says what was tried, on which Gluster volume and servers, what GlusterFS said, and the likely cure.
//
// ErrUnreachable, ErrNotStarted and ErrNotConnected pass by themselves once the servers are well: the caller tries
// again.
var (
	// ErrNotLoaded: no good clusters file has been read yet.
	ErrNotLoaded = errors.New("the clusters file has not been loaded yet")
	// ErrUnknownCluster: the clusters file does not name this cluster.
	ErrUnknownCluster = errors.New("unknown cluster")
	// ErrUnknownVolume: the clusters file does not allow this Gluster volume in its cluster.
	ErrUnknownVolume = errors.New("unknown Gluster volume")
	// ErrAmbiguous: a cluster or Gluster volume must be named, as the clusters file has several.
	ErrAmbiguous = errors.New("ambiguous")
	// ErrOption: not an option that clients may be given, or not a value for it.
	ErrOption = errors.New("client option refused")

	// ErrUnreachable: the servers do not answer, or not in time; or the client's process ended.
	ErrUnreachable = errors.New("the Gluster volume cannot be reached")
	// ErrNoSuchVolume: the cluster's servers answer that they have no such Gluster volume.
	ErrNoSuchVolume = errors.New("the cluster has no such Gluster volume")
	// ErrNotStarted: the Gluster volume is not started, or none of its bricks runs (a client cannot tell these apart).
	ErrNotStarted = errors.New("the Gluster volume is not started, or none of its bricks runs")
	// ErrRestricted: an option of the Gluster volume forbids it, for as long as it is set.
	ErrRestricted = errors.New("an option of the Gluster volume forbids it")
	// ErrNotConnected: the client runs and its Gluster volume has lost its quorum or all bricks. It recovers by
	// itself about 1.5 s after the bricks return; what is mounted stays mounted.
	ErrNotConnected = errors.New("the Gluster volume has no quorum or no bricks")
)
