// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"context"
	"errors"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// As a mounter ends while a start is under way, which goes on without its caller.
func TestNoStartIsUnderWayWhenClientsAreDetachedForGood(t *testing.T) {
	shared := testcluster.Shared(t, testcluster.Options{})
	silent := testcluster.SilentServer(t, shared.Neighbour(204))
	h := newHost(t, clustersFile(t, []string{silent}, "gv0"))
	ended := make(chan error, 1)
	go func() {
		_, err := h.Ensure(t.Context(), gv0, nil)
		ended <- err
	}()
	testcluster.Eventually(t, patience, func() error {
		if processCount(t, h) == 0 {
			return errors.New("nothing is started")
		}
		return nil
	})
	do(t, h.DetachIdle(t.Context()))
	if n := processCount(t, h); n > 0 {
		t.Errorf("%d processes run", n)
	}
	checkError(t, <-ended, gluster.ErrUnreachable)
	checkNothingLeft(t, h)
	_, err := h.Ensure(t.Context(), gv0, nil)
	checkError(t, err, errEnding)
	checkNothingLeft(t, h)
}

// A client may be replaced for an administrator, whose call outlasts the server.
func TestNoClientIsReplacedAfterClientsWereDetachedForGood(t *testing.T) {
	h := sharedHost(t)
	c := ensure(t, h, gv0)
	replaced := make(chan *Client, 1)
	noBetter := func(_, _ *meta.Reading) bool { return false }
	go func() {
		by, err := h.Replace(context.WithoutCancel(t.Context()), c, noBetter)
		t.Log(err) // that it was ended, if that was before the trial could be judged
		replaced <- by
	}()
	testcluster.Eventually(t, patience, func() error {
		if processCount(t, h) < 2 {
			return errors.New("nothing is started")
		}
		return nil
	})
	do(t, h.DetachIdle(t.Context()))
	if by := <-replaced; by != nil {
		t.Errorf("replaced by process %d", by.process.PID)
	}
	if by, err := h.Replace(t.Context(), c, noBetter); by != nil || !errors.Is(err, errEnding) {
		t.Errorf("replaced by %v, %v", by, err)
	}
	checkNothingLeft(t, h)
}
